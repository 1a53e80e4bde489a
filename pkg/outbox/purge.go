package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

const (
	// purgeStep bounds the deliveries and events that one step looks at.
	purgeStep = 500
	// purgeOutbox is how deep the outbox of a part may be for events to be deleted:
	// whether an event is still in it is found out by reading it.
	purgeOutbox = 5000
	// purgeLock is the class of the advisory lock that lets one process at a time
	// delete; the second key is 0.
	purgeLock = 7102
)

// purgeFloor is the first id of what is younger than $2: ids begin with the time
// (RFC 9562 §5.7), so that the oldest of a tenant are a range of its primary key.
const purgeFloor = `(lpad(to_hex((extract(epoch FROM now() - $2::interval) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid`

// An old delivery stays while it is pending, and as long again when it has been
// replayed: its end counts, not its beginning. Why a delivery is named twice says completeSQL.
const purgeDeliveriesSQL = `WITH x AS MATERIALIZED (
    SELECT business_id, id, webhook_id, event_id FROM webhook_deliveries
    WHERE business_id = $1 AND id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000') AND id < ` + purgeFloor + ` AND (SELECT pg_try_advisory_xact_lock($5, 0))
    ORDER BY business_id, id LIMIT $4
), over AS MATERIALIZED (
    SELECT d.business_id, d.id, d.webhook_id, d.event_id, d.status
    FROM x CROSS JOIN LATERAL (
        SELECT * FROM webhook_deliveries d
        WHERE d.business_id = x.business_id AND d.id = x.id AND d.webhook_id = x.webhook_id AND d.event_id = x.event_id
        AND d.status || '' <> 'pending' AND d.finished_at < now() - $2::interval FOR UPDATE SKIP LOCKED) d
), attempts AS (
    DELETE FROM webhook_attempts a USING over o
    WHERE a.business_id = ANY (ARRAY[o.business_id]) AND a.delivery_id = o.id
    RETURNING 1
), gone AS (
    DELETE FROM webhook_deliveries d USING over o
    WHERE d.business_id = ANY (ARRAY[o.business_id]) AND d.id = o.id AND d.webhook_id = o.webhook_id AND d.event_id = o.event_id
    RETURNING d.status
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM gone WHERE status = 'failed'), (SELECT count(*) FROM attempts),
       (SELECT id FROM x ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM x)`

// An event goes when it is out of the outbox and no delivery refers to it. Those
// that do are found endpoint by endpoint, deleted ones included, in the range of
// the step's events: no index leads with the event.
const purgeEventsSQL = `WITH x AS MATERIALIZED (
    SELECT business_id, id FROM webhook_events
    WHERE business_id = $1 AND id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000') AND id < ` + purgeFloor + ` AND (SELECT pg_try_advisory_xact_lock($5, 0))
      AND (SELECT count(*) FROM (SELECT FROM webhook_outbox WHERE part = $6 LIMIT $7 + 1) o) <= $7
    ORDER BY business_id, id LIMIT $4
), span AS MATERIALIZED (
    SELECT (SELECT id FROM x ORDER BY id LIMIT 1) AS first, (SELECT id FROM x ORDER BY id DESC LIMIT 1) AS last
), kept AS MATERIALIZED (
    SELECT d.event_id FROM span, webhooks w CROSS JOIN LATERAL (
        SELECT event_id FROM webhook_deliveries
        WHERE business_id = w.business_id AND webhook_id = w.id AND event_id BETWEEN span.first AND span.last
        ORDER BY business_id, webhook_id, event_id) d
    WHERE w.business_id = $1
    UNION ALL
    SELECT event_id FROM webhook_outbox WHERE part = $6 AND business_id = $1
), gone AS (
    DELETE FROM webhook_events e USING x
    WHERE e.business_id = ANY (ARRAY[x.business_id]) AND e.id = x.id AND e.created_at < now() - $2::interval
      AND x.id NOT IN (SELECT event_id FROM kept)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT last FROM span), (SELECT count(*) FROM x)`

// Purged is what one step deleted.
type Purged struct {
	// Deliveries were deleted, Failed of them were failed ones that nobody can
	// replay any more; Attempts were logged for them.
	Deliveries, Failed, Attempts int64
	Events                       int64
	// More says that there is more to look at.
	More bool
}

// Purger deletes the webhook history of one business, older than Keep, step by
// step. It never deletes what is pending. Any number may run: one does a step, the
// others find nothing to do.
type Purger struct {
	DB       *database.DB
	Business models.BusinessID
	// Keep is how long deliveries stay after their end and events after their
	// beginning.
	Keep time.Duration

	deliveries *models.DeliveryID // where the next step goes on
	events     *models.EventID
}

// Deliveries does one step on the deliveries: up to 500 rows with their attempts.
func (p *Purger) Deliveries(ctx context.Context) (Purged, error) {
	var done Purged
	var seen int
	args := []any{p.Business, p.Keep, p.deliveries, purgeStep, purgeLock}
	err := pipeline(ctx, p.DB.Pool, step{purgeDeliveriesSQL, args, one(&done.Deliveries, &done.Failed, &done.Attempts, &p.deliveries, &seen)})
	done.More = seen == purgeStep
	return done, err
}

// Events does one step on the events: up to 500 rows.
func (p *Purger) Events(ctx context.Context) (Purged, error) {
	var done Purged
	var seen int
	args := []any{p.Business, p.Keep, p.events, purgeStep, purgeLock, PartOf(p.Business), purgeOutbox}
	err := pipeline(ctx, p.DB.Pool, step{purgeEventsSQL, args, one(&done.Events, &p.events, &seen)})
	done.More = seen == purgeStep
	return done, err
}

// one reads the one row of a statement.
func one(into ...any) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

// oldSQL finds the businesses of a page that have anything to look at.
const oldSQL = `SELECT b.id,
    (SELECT true FROM webhook_deliveries d WHERE d.business_id = b.id AND d.id < ` + purgeFloor + ` ORDER BY d.business_id, d.id LIMIT 1) IS NOT NULL
    OR (SELECT true FROM webhook_events e WHERE e.business_id = b.id AND e.id < ` + purgeFloor + ` ORDER BY e.business_id, e.id LIMIT 1) IS NOT NULL
FROM (SELECT id FROM businesses WHERE id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT $3) b`

// Old is a business and whether it has history of a certain age.
type Old struct {
	Business models.BusinessID
	Any      bool
}

// OldHistory pages through the businesses after the one given.
func OldHistory(ctx context.Context, db *database.DB, after models.BusinessID, keep time.Duration, page int) ([]Old, error) {
	var all []Old
	scan := func(rows pgx.Rows, o *Old) error { return rows.Scan(&o.Business, &o.Any) }
	err := pipeline(ctx, db.Pool, step{oldSQL, []any{after, keep, page}, each(&all, scan)})
	return all, err
}
