package outbox

import (
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// failedSQL are the failed deliveries d of a selection, with the endpoints w and
// the events e: a delivery whose event has been deleted cannot be sent.
const failedSQL = `FROM webhooks w
CROSS JOIN LATERAL (
    SELECT d.event_id FROM webhook_deliveries d
    WHERE d.business_id = w.business_id AND d.webhook_id = w.id AND d.status = 'failed'
      AND d.event_id > CAST(@after AS uuid) AND d.event_id < CAST(@before AS uuid) OFFSET 0) d
CROSS JOIN LATERAL (
    SELECT e.type FROM webhook_events e WHERE e.business_id = w.business_id AND e.id = d.event_id LIMIT 1) e
WHERE w.business_id = @business AND w.deleted_at IS NULL AND (CAST(@webhook AS uuid) IS NULL OR w.id = CAST(@webhook AS uuid))
  AND (CAST(@types AS text[]) IS NULL OR CAST(@types AS text[])` + subscribes + `)`

const countFailedSQL = `SELECT count(*) FILTER (WHERE w.status <> 'disabled') AS matched,
    count(DISTINCT w.id) FILTER (WHERE w.status = 'disabled') AS skipped ` + failedSQL

// countEventsSQL counts what failed or is pending on an endpoint, and what it
// never had.
const countEventsSQL = `SELECT count(*) AS matched, count(*) FILTER (WHERE d.id IS NULL) AS missing,
    count(*) FILTER (WHERE d.status = 'pending') AS pending
FROM webhooks w
CROSS JOIN LATERAL (
    SELECT e.id, e.type FROM webhook_events e
    WHERE e.business_id = w.business_id AND e.id > CAST(@after AS uuid) AND e.id < CAST(@before AS uuid) OFFSET 0) e
LEFT JOIN LATERAL (` + deliveryOfSQL + `) d ON true
WHERE w.business_id = @business AND w.id = CAST(@webhook AS uuid)
  AND (CAST(@types AS text[]) IS NULL OR CAST(@types AS text[])` + subscribes + `)
  AND ` + replayable

// replayable says which events e a replay gives to the endpoint w: those of its
// filter that it never had (a test event was meant for one endpoint alone), and
// those that it had and did not take.
const replayable = `CASE WHEN d.id IS NULL THEN e.type <> 'webhook.test' AND w.event_types` + subscribes + `
    ELSE d.status <> 'delivered' END`

func countQueued(db *gorm.DB, selection ReplaySelection) (models.ReplayCount, error) {
	var count models.ReplayCount
	if !selection.WebhookID.IsZero() {
		if err := requireLive(db, selection.BusinessID, selection.WebhookID); err != nil {
			return count, err
		}
	}
	query := countEventsSQL
	if selection.failedOnly() {
		query = countFailedSQL
	}
	var now time.Time
	if err := db.Raw(`SELECT statement_timestamp()`).Scan(&now).Error; err != nil {
		return count, fmt.Errorf("reading the clock: %w", err)
	}
	if err := db.Raw(query, selection.args(now)...).Scan(&count).Error; err != nil {
		return count, fmt.Errorf("counting a replay: %w", err)
	}
	return count, nil
}

// args are the named arguments of the statements above.
func (s *ReplaySelection) args(now time.Time) []any {
	after, before := s.bounds(now)
	return []any{
		sql.Named("business", s.BusinessID), sql.Named("webhook", s.WebhookID), sql.Named("types", s.eventTypes()),
		// Not as ids, of which the zero one would be null.
		sql.Named("after", after.UUID()), sql.Named("before", before.UUID()),
	}
}

// Which endpoints of a business have anything to replay is looked up endpoint by
// endpoint: one look-up each, however much failed on it.
const liveTargetsSQL = `INSERT INTO webhook_replay_targets (business_id, replay_id, webhook_id, after_event_id)
SELECT w.business_id, CAST(@replay AS uuid), w.id, CAST(@after AS uuid) FROM webhooks w` + hasFailed + `
WHERE w.business_id = @business AND w.deleted_at IS NULL AND w.status <> 'disabled'`

const oneTargetSQL = `INSERT INTO webhook_replay_targets (business_id, replay_id, webhook_id, after_event_id)
VALUES (@business, @replay, @webhook, CAST(@after AS uuid))`

const countDisabledSQL = `SELECT count(*) FROM webhooks w` + hasFailed + `
WHERE w.business_id = @business AND w.deleted_at IS NULL AND w.status = 'disabled'`

const hasFailed = `
CROSS JOIN LATERAL (
    SELECT FROM webhook_deliveries d WHERE d.business_id = w.business_id AND d.webhook_id = w.id AND d.status = 'failed'
        AND d.event_id > CAST(@after AS uuid) AND d.event_id < CAST(@before AS uuid) LIMIT 1) failed`

// probeTargetsSQL takes the open breakers of a replay's endpoints for half-open, as
// a replay of one delivery does: what has been mended would wait for up to 15
// minutes otherwise.
const probeTargetsSQL = `WITH open AS MATERIALIZED (
    SELECT l.business_id, l.webhook_id, ` + probedSQL + ` AS until FROM webhook_replay_targets t
    JOIN webhook_lanes l ON l.business_id = t.business_id AND l.webhook_id = t.webhook_id
    WHERE t.business_id = @business AND t.replay_id = @replay AND l.breaker_failures >= @threshold
    ORDER BY l.business_id, l.webhook_id FOR NO KEY UPDATE OF l
)
UPDATE webhook_lanes l SET touches = l.touches + 1, blocked_until = o.until,
    due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > now() THEN l.due_at ELSE greatest(now(), o.until) END
FROM open o WHERE l.business_id = o.business_id AND l.webhook_id = o.webhook_id`

// queueReplay writes a replay and the endpoints that it goes to, for dispatchers
// to work off. Without any endpoint it has nothing to do and is over.
func queueReplay(tx *gorm.DB, selection ReplaySelection, row *models.Replay) error {
	if err := checkOpenReplays(tx, selection.BusinessID); err != nil {
		return err
	}
	args := append(selection.args(row.CreatedAt), sql.Named("replay", row.ID), sql.Named("threshold", BreakerThreshold))
	var err error
	if selection.WebhookID.IsZero() {
		err = tx.Raw(countDisabledSQL, args...).Scan(&row.Skipped).Error
	} else {
		err = requireLive(tx, selection.BusinessID, selection.WebhookID)
	}
	if err == nil {
		err = tx.Create(row).Error
	}
	if err != nil {
		return fmt.Errorf("queueing a replay: %w", err)
	}
	targets := liveTargetsSQL
	if !selection.WebhookID.IsZero() {
		targets = oneTargetSQL
	}
	added := tx.Exec(targets, args...)
	if added.Error == nil && added.RowsAffected == 0 {
		added = tx.Raw(`UPDATE webhook_replays SET status = 'completed', started_at = created_at, finished_at = created_at
			WHERE business_id = ? AND id = ? RETURNING *`, row.BusinessID, row.ID).Scan(row)
	}
	if added.Error == nil {
		added = tx.Exec(probeTargetsSQL, args...)
	}
	if added.Error != nil {
		return fmt.Errorf("queueing a replay: %w", added.Error)
	}
	return notifyChanged(tx) // dispatchers look for what is due then
}

func checkOpenReplays(tx *gorm.DB, business models.BusinessID) error {
	if err := tx.Exec(`SELECT pg_advisory_xact_lock(?, hashtext(?))`, openReplaysLock, business.UUID()).Error; err != nil {
		return fmt.Errorf("counting replays: %w", err)
	}
	var open int64
	err := tx.Raw(`SELECT count(*) FROM webhook_replays WHERE business_id = ? AND status IN ('pending', 'running')`, business).Scan(&open).Error
	switch {
	case err != nil:
		return fmt.Errorf("counting replays: %w", err)
	case open >= maxOpenReplays:
		return errs.New(errs.LimitExceeded, "%d replays are not done yet: wait for one, or cancel it", maxOpenReplays)
	}
	return nil
}
