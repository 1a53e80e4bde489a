package outbox

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// endStep is how many deliveries one step ends: row locks for some tens of
// milliseconds.
const endStep = 1000

// endSQL ends pending deliveries of one endpoint. Rows that are being completed
// at the moment are skipped: waiting for them could deadlock with the completion
// of others, and the next step finds them. Why a delivery is named twice says
// completeSQL.
const endSQL = `WITH x AS MATERIALIZED (
    SELECT business_id, id, event_id FROM webhook_deliveries WHERE business_id = @business AND webhook_id = @webhook AND status = 'pending'
    ORDER BY next_attempt_at, id LIMIT @limit FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries d SET status = 'failed', failure_reason = @reason, finished_at = now()
FROM x WHERE d.business_id = ANY (ARRAY[x.business_id]) AND d.id = x.id AND d.webhook_id = @webhook AND d.event_id = x.event_id`

// markSQL keeps the reason on the lane while something is left to end, for the next
// step.
const markSQL = `UPDATE webhook_lanes SET ending_reason = CASE WHEN EXISTS (
    SELECT FROM webhook_deliveries WHERE business_id = @business AND webhook_id = @webhook AND status = 'pending') THEN @reason END
WHERE business_id = @business AND webhook_id = @webhook`

// endPending does one step for a closed lane, in a transaction that has locked
// it, and returns how many deliveries it ended.
func endPending(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID, reason string) (ended int64, err error) {
	of := map[string]any{"business": business, "webhook": webhook, "reason": reason, "limit": endStep}
	step := tx.Exec(endSQL, of)
	if step.Error != nil {
		return 0, fmt.Errorf("ending deliveries: %w", step.Error)
	}
	if err := tx.Exec(markSQL, of).Error; err != nil {
		return 0, fmt.Errorf("ending deliveries: %w", err)
	}
	return step.RowsAffected, nil
}

// Ending reports whether deliveries of a disabled endpoint wait for EndDeliveries
// yet: until they have ended it cannot be enabled, or it would lose new ones.
func Ending(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) (bool, error) {
	var ending bool
	err := tx.Raw(`SELECT ending_reason IS NOT NULL FROM webhook_lanes WHERE business_id = ? AND webhook_id = ?`,
		business, webhook).Scan(&ending).Error
	if err != nil {
		return false, fmt.Errorf("looking at a lane: %w", err)
	}
	return ending, nil
}

// endingSQL locks one lane that nobody else is ending. revived is that of an
// endpoint which a dispatcher or API of the release before has enabled: it knows
// no mark.
const endingSQL = `SELECT l.business_id, l.webhook_id, l.ending_reason AS reason, w.deleted_at IS NULL AND w.status <> 'disabled' AS revived
FROM webhook_lanes l JOIN webhooks w ON w.business_id = l.business_id AND w.id = l.webhook_id
WHERE l.ending_reason IS NOT NULL
ORDER BY l.business_id, l.webhook_id LIMIT 1 FOR UPDATE OF l SKIP LOCKED`

// EndDeliveries does one step, 1,000 deliveries in a transaction of its own, for
// an endpoint that was disabled or deleted with more pending than CloseLane ends
// at once. It returns how many it ended; 0 means that there is nothing to end, or
// nothing that is not in other hands. Any number may run at once.
func EndDeliveries(ctx context.Context, db *database.DB) (ended int64, err error) {
	err = db.InTx(ctx, func(tx *gorm.DB) error {
		var lane struct {
			LaneKey
			Reason  string
			Revived bool
		}
		if err := tx.Raw(endingSQL).Scan(&lane).Error; err != nil {
			return fmt.Errorf("looking for closed lanes: %w", err)
		}
		if lane.WebhookID.IsZero() {
			ended = 0
			return nil
		}
		if lane.Revived {
			return tx.Exec(`UPDATE webhook_lanes SET ending_reason = NULL WHERE business_id = ? AND webhook_id = ?`,
				lane.BusinessID, lane.WebhookID).Error
		}
		ended, err = endPending(tx, lane.BusinessID, lane.WebhookID, lane.Reason)
		return err
	})
	return ended, err
}

// Ender does the steps of EndDeliveries in the background.
type Ender struct {
	DB *database.DB
	// Interval is how long a closed lane may wait for its next step.
	Interval time.Duration
	// Failed hears of a step that failed; it is tried again after the interval.
	Failed func(error)
}

// Run works until ctx ends.
func (e *Ender) Run(ctx context.Context) {
	tick := time.NewTicker(e.Interval)
	defer tick.Stop()
	for {
		for ended := int64(1); ended > 0 && ctx.Err() == nil; {
			var err error
			if ended, err = EndDeliveries(ctx, e.DB); err != nil && ctx.Err() == nil {
				e.Failed(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
