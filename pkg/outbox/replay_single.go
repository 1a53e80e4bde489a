package outbox

import (
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// maxReplayTargets bounds the endpoints that one request replays an event to.
const maxReplayTargets = 10_000

// subscribes says in SQL that a filter of event types takes the event e.
const subscribes = ` && ARRAY['*', e.type, split_part(e.type, '.', 1) || '.*']`

// targetSQL finds the endpoints that an event is replayed to, with the delivery
// that they have of it. A test event was meant for one endpoint alone.
//
// A delivery that has to be made takes the sequence of the endpoint's last one
// before it: with the event's id to tell them apart, an ordered endpoint gets it
// in its place.
//
// Look-ups in the large tables are subqueries with LIMIT here and in all that
// follows: to a planner that knows little of a business, one pass over all that
// the business has looks as good as a few look-ups, and it would join that to
// every row.
const targetSQL = `SELECT w.business_id, w.id AS webhook_id, w.ordered, w.status = 'disabled' AS disabled,
    d.id AS delivery_id, d.status, e.id AS event_id, coalesce(d.sequence, (
        SELECT p.sequence FROM webhook_deliveries p
        WHERE p.business_id = e.business_id AND p.webhook_id = w.id AND p.event_id < e.id ORDER BY p.event_id DESC LIMIT 1), 0) AS sequence
FROM webhook_events e
JOIN webhooks w ON w.business_id = e.business_id AND w.deleted_at IS NULL
LEFT JOIN LATERAL (` + deliveryOfSQL + `) d ON true
WHERE e.business_id = @business AND e.id = @event AND CASE WHEN CAST(@webhook AS uuid) IS NULL
      THEN d.id IS NOT NULL OR e.type <> 'webhook.test' AND w.event_types` + subscribes + `
      ELSE w.id = CAST(@webhook AS uuid) END
ORDER BY w.id LIMIT @most`

// deliveryOfSQL finds the delivery of the event e to the endpoint w.
const deliveryOfSQL = `SELECT d.id, d.status, d.sequence FROM webhook_deliveries d
    WHERE d.business_id = w.business_id AND d.webhook_id = w.id AND d.event_id = e.id LIMIT 1`

const countTargetsSQL = `SELECT count(*) FILTER (WHERE NOT disabled) AS matched,
    count(*) FILTER (WHERE NOT disabled AND delivery_id IS NULL) AS missing,
    count(*) FILTER (WHERE NOT disabled AND status = 'pending') AS pending,
    count(*) FILTER (WHERE disabled) AS skipped FROM `

// replayTargetsSQL restarts and makes deliveries, and touches the lanes, whose
// holders would not look again otherwise. The first lanes are due at once, the
// others one after the other, as in a fan-out. Who replays has mended something: an
// open breaker is taken for half-open. For ANY see laneSettingsSQL.
const replayTargetsSQL = `WITH target AS MATERIALIZED (
    ` + targetSQL + ` FOR SHARE OF w
), live AS MATERIALIZED (
    SELECT *, now() + greatest(0, row_number() OVER (ORDER BY webhook_id) - @prompt) * make_interval(secs => @pace) AS due
    FROM target WHERE NOT disabled
), restarted AS (
    UPDATE webhook_deliveries d SET status = 'pending', run = d.run + 1, run_attempt = 0, ordered = t.ordered,
        next_attempt_at = t.due, finished_at = NULL, failure_reason = NULL
    FROM live t WHERE d.business_id = ANY (ARRAY[t.business_id]) AND d.id = t.delivery_id
        AND d.webhook_id = t.webhook_id AND d.event_id = t.event_id AND d.status <> 'pending'
    RETURNING d.webhook_id, d.next_attempt_at AS due
), made AS (
    INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, run, next_attempt_at, sequence, ordered, created_at)
    SELECT CAST(@business AS uuid), uuid_v7(now(), row_number() OVER (ORDER BY webhook_id)), event_id, webhook_id, CAST(@run AS integer), due, sequence, ordered, now()
    FROM live WHERE delivery_id IS NULL
    ON CONFLICT (business_id, webhook_id, event_id) DO NOTHING
    RETURNING webhook_id, next_attempt_at AS due
), locked AS MATERIALIZED (
    SELECT l.webhook_id, t.due, ` + probedSQL + ` AS until FROM (SELECT * FROM restarted UNION ALL SELECT * FROM made) t
    JOIN webhook_lanes l ON l.business_id = @business AND l.webhook_id = t.webhook_id
    ORDER BY l.business_id, l.webhook_id FOR NO KEY UPDATE OF l
), touched AS (
    UPDATE webhook_lanes l SET touches = l.touches + 1, blocked_until = t.until,
        due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > now() THEN l.due_at
                 ELSE greatest(least(l.due_at, t.due), t.until) END
    FROM locked t WHERE l.business_id = @business AND l.webhook_id = t.webhook_id
    RETURNING 1
)
SELECT c.matched, c.missing, t.replayed, c.matched - t.replayed AS pending, c.skipped
FROM (` + countTargetsSQL + `target) c, (SELECT count(*) AS replayed FROM touched) t`

// firstReplayRun is the run of a delivery that a replay makes: run 1 is the
// fan-out's, and every attempt of a later one is marked as a replay.
const firstReplayRun = 2

// replayNow replays one delivery or one event in the caller's transaction.
func replayNow(tx *gorm.DB, selection ReplaySelection, row *models.Replay) error {
	args, err := singleArgs(tx, selection)
	if err != nil {
		return err
	}
	if err := tx.Raw(replayTargetsSQL, args...).Scan(&row.ReplayCount).Error; err != nil {
		return fmt.Errorf("replaying: %w", err)
	}
	if err := checkTargets(row.ReplayCount); err != nil {
		return err
	}
	row.Status, row.StartedAt, row.FinishedAt = models.ReplayCompleted, &row.CreatedAt, &row.CreatedAt
	if err := tx.Create(row).Error; err != nil {
		return fmt.Errorf("recording a replay: %w", err)
	}
	return notifyChanged(tx) // replays are rare: the notification does not slow anything
}

func countNow(db *gorm.DB, selection ReplaySelection) (models.ReplayCount, error) {
	var count models.ReplayCount
	args, err := singleArgs(db, selection)
	if err != nil {
		return count, err
	}
	if err := db.Raw(countTargetsSQL+`(`+targetSQL+`) target`, args...).Scan(&count).Error; err != nil {
		return count, fmt.Errorf("counting a replay: %w", err)
	}
	return count, checkTargets(count)
}

func checkTargets(count models.ReplayCount) error {
	if count.Matched+count.Skipped > maxReplayTargets {
		return errs.New(errs.LimitExceeded, "the event goes to more than %d endpoints: name one", maxReplayTargets)
	}
	return nil
}

// singleArgs finds what the selection names.
func singleArgs(tx *gorm.DB, selection ReplaySelection) ([]any, error) {
	if !selection.DeliveryID.IsZero() {
		var of models.Delivery
		err := tx.Raw(`SELECT event_id, webhook_id FROM webhook_deliveries WHERE business_id = ? AND id = ?`,
			selection.BusinessID, selection.DeliveryID).Scan(&of).Error
		if err != nil {
			return nil, fmt.Errorf("looking for a delivery: %w", err)
		}
		if of.WebhookID.IsZero() {
			return nil, errs.New(errs.NotFound, "no such delivery")
		}
		selection.EventID, selection.WebhookID = of.EventID, of.WebhookID
	}
	var known bool
	err := tx.Raw(`SELECT EXISTS (SELECT 1 FROM webhook_events WHERE business_id = ? AND id = ?)`,
		selection.BusinessID, selection.EventID).Scan(&known).Error
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking for an event: %w", err)
	case !known && !selection.DeliveryID.IsZero():
		return nil, errs.New(errs.InvalidState, "the event of the delivery has been deleted")
	case !known:
		return nil, errs.New(errs.NotFound, "no such event")
	}
	if !selection.WebhookID.IsZero() {
		if err := requireLive(tx, selection.BusinessID, selection.WebhookID); err != nil {
			return nil, err
		}
	}
	return []any{
		sql.Named("business", selection.BusinessID), sql.Named("event", selection.EventID),
		sql.Named("webhook", selection.WebhookID), sql.Named("most", maxReplayTargets+1), sql.Named("run", firstReplayRun),
		sql.Named("prompt", promptLanes), sql.Named("pace", lanePace.Seconds()), sql.Named("threshold", BreakerThreshold),
	}, nil
}
