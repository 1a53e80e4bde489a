package outbox

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
)

// directSQL makes a delivery without the fan-out. It goes ahead of everything that
// is due, so that it is seen soon behind a backlog too; an ordered endpoint gets it
// in its turn. Its id must not lie before those of the fan-out: the clock is the
// statement's there as well.
const directSQL = `INSERT INTO webhook_deliveries
    (business_id, id, event_id, webhook_id, next_attempt_at, sequence, ordered, created_at)
SELECT w.business_id, uuid_v7(statement_timestamp(), 0), CAST(@event AS uuid), w.id,
       least(statement_timestamp(), (
           SELECT next_attempt_at - interval '1 millisecond' FROM webhook_deliveries
           WHERE business_id = @business AND webhook_id = @webhook AND status = 'pending'
           ORDER BY next_attempt_at, id LIMIT 1)),
       nextval(pg_get_serial_sequence('webhook_outbox', 'seq')), w.ordered, statement_timestamp()
FROM webhooks w WHERE w.business_id = @business AND w.id = @webhook
RETURNING id`

// probedSQL is until when a lane l is blocked that gets a probe: a breaker does not
// block it any more, a Retry-After and a pause do.
const probedSQL = `CASE WHEN l.breaker_failures >= @threshold AND l.blocked_until < 'infinity' THEN '-infinity' ELSE l.blocked_until END`

// nudgeLaneSQL makes the lane due as the fan-out does. An open breaker is taken for
// half-open: the delivery is its probe.
const nudgeLaneSQL = `UPDATE webhook_lanes l SET touches = l.touches + 1, blocked_until = b.until,
    due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > statement_timestamp() THEN l.due_at
             ELSE greatest(least(l.due_at, statement_timestamp() - make_interval(secs => @ahead)),
                           CASE WHEN b.until > statement_timestamp() THEN b.until END) END
FROM (SELECT ` + probedSQL + ` AS until
      FROM webhook_lanes l WHERE business_id = @business AND webhook_id = @webhook FOR UPDATE) b
WHERE l.business_id = @business AND l.webhook_id = @webhook`

// AppendDirect writes an event that goes to one endpoint alone, whatever types the
// endpoint asks for, and its delivery, in the caller's transaction. The caller
// holds at least a shared lock on the endpoint's row and has seen that it is
// active or paused.
func AppendDirect(tx *gorm.DB, event models.Event, webhook models.WebhookID) (models.DeliveryID, error) {
	var id models.DeliveryID
	if err := insertEvent(tx, event); err != nil {
		return id, err
	}
	of := map[string]any{
		"business": event.BusinessID, "webhook": webhook, "event": event.ID, "threshold": BreakerThreshold,
		"ahead": headStart.Seconds(),
	}
	if err := tx.Raw(directSQL, of).Row().Scan(&id); err != nil {
		return id, fmt.Errorf("writing delivery: %w", err)
	}
	if err := tx.Exec(nudgeLaneSQL, of).Error; err != nil {
		return id, fmt.Errorf("touching a lane: %w", err)
	}
	return id, notifyChanged(tx)
}
