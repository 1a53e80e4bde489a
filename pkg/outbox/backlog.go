package outbox

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
)

// Waiting says where there is work to pick up.
type Waiting struct {
	// Parts have events to fan out.
	Parts []int16
	// LaneIn is how long it is until the next lane can be claimed, zero or less
	// when one can be now; negative infinity does not occur.
	LaneIn time.Duration
	// Lane is false when no lane waits at all.
	Lane bool
	// Replay says that a replay is to be worked on.
	Replay bool
}

// A sub-select with a limit instead of EXISTS, which may become a join that reads
// the whole outbox (see laneSettingsSQL).
const probeSQL = `SELECT
    ARRAY(SELECT p FROM generate_series(0, $1::int - 1) p WHERE (SELECT true FROM webhook_outbox o WHERE o.part = p ORDER BY o.part, o.seq LIMIT 1))::smallint[],
    (SELECT CASE WHEN due_at < 'infinity' THEN extract(epoch FROM due_at - now())::float8 END
     FROM webhook_lanes ORDER BY due_at LIMIT 1),
    EXISTS (SELECT FROM webhook_replays WHERE status IN ('pending', 'running') AND next_step_at <= now())`

// Probe is the one statement of an idle dispatcher.
func (d *Dispatcher) Probe(ctx context.Context) (Waiting, error) {
	var waiting Waiting
	var seconds *float64
	read := func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&waiting.Parts, &seconds, &waiting.Replay); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	err := pipeline(ctx, d.pool, step{probeSQL, []any{Parts}, read})
	if seconds != nil {
		// A lane that was blocked for years would overflow the duration.
		waiting.Lane, waiting.LaneIn = true, time.Duration(min(*seconds, 86400)*float64(time.Second))
	}
	return waiting, err
}

// Backlog is the outbox as a gauge shows it.
type Backlog struct {
	// Events wait to be fanned out, counted up to 100,000.
	Events int64
	// OldestAge is that of the first of them.
	OldestAge time.Duration
	// LanesDue wait for a dispatcher, LanesLeased are held, both counted up to
	// 100,000.
	LanesDue, LanesLeased int64
	// OldestDue is how long the longest waiting lane has been due, its head start
	// taken off.
	OldestDue time.Duration
	// BreakersOpen are lanes that wait for their breaker, BreakersHalfOpen those
	// that are being probed; both counted up to 100,000.
	BreakersOpen, BreakersHalfOpen int64
	// Pending is how many deliveries are not at their end, as the last
	// ANALYZE found.
	Pending int64
	// Dispatchers run.
	Dispatchers int64
	// Replays are not done yet.
	Replays int64
}

// The threshold is no parameter, for the partial index to be found.
var backlogSQL = `SELECT
    (SELECT count(*) FROM (SELECT FROM webhook_outbox LIMIT 100000) o),
    coalesce((SELECT extract(epoch FROM now() - min(e.created_at)) FROM generate_series(0, $1::int - 1) p
        CROSS JOIN LATERAL (SELECT o.business_id, o.event_id FROM webhook_outbox o WHERE o.part = p ORDER BY o.seq LIMIT 1) o
        JOIN webhook_events e ON e.business_id = ANY (ARRAY[o.business_id]) AND e.id = o.event_id), 0)::float8,
    (SELECT count(*) FROM (SELECT FROM webhook_lanes WHERE due_at <= now() LIMIT 100000) l),
    (SELECT count(*) FROM (SELECT FROM webhook_lanes WHERE due_at BETWEEN now() AND now() + $2::interval AND owner IS NOT NULL LIMIT 100000) l),
    coalesce((SELECT extract(epoch FROM now() - due_at) FROM webhook_lanes WHERE due_at <= now() ORDER BY due_at LIMIT 1), 0)::float8,
    b.open, b.half_open,
    (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'webhook_deliveries_due_idx'::regclass),
    (SELECT count(*) FROM webhook_dispatchers WHERE seen_at > now() - $2::interval),
    (SELECT count(*) FROM (SELECT FROM webhook_replays WHERE status IN ('pending', 'running') LIMIT 100000) r)
FROM (SELECT count(*) FILTER (WHERE NOT held) AS open, count(*) FILTER (WHERE held) AS half_open
      FROM (SELECT owner IS NOT NULL AND due_at > now() AS held FROM webhook_lanes
            WHERE breaker_failures >= ` + strconv.Itoa(BreakerThreshold) + ` LIMIT 100000) l) b`

// ReadBacklog counts what waits, in bounded time.
func ReadBacklog(ctx context.Context, db *database.DB) (Backlog, error) {
	var b Backlog
	var oldest, due float64
	read := one(&b.Events, &oldest, &b.LanesDue, &b.LanesLeased, &due, &b.BreakersOpen, &b.BreakersHalfOpen, &b.Pending, &b.Dispatchers,
		&b.Replays)
	err := pipeline(ctx, db.Pool, step{backlogSQL, []any{Parts, Lease}, read})
	b.OldestAge = max(0, time.Duration(oldest*float64(time.Second)))
	b.OldestDue = max(0, time.Duration(due*float64(time.Second))-headStart)
	return b, err
}

// ExpireStep bounds the deliveries that Expire ends in one step.
const ExpireStep = 5000

const expireSQL = `WITH x AS MATERIALIZED (
    SELECT business_id, id, webhook_id, event_id FROM webhook_deliveries
    WHERE business_id = $1 AND webhook_id = $2 AND status = 'pending' AND next_attempt_at < now() - $3::interval
      AND (SELECT failing_since < now() - $3::interval FROM webhook_lanes WHERE business_id = $1 AND webhook_id = $2)
    ORDER BY next_attempt_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE webhook_deliveries d SET status = 'failed', finished_at = now(),
        failure_reason = 'the endpoint failed for as long as the whole retry schedule'
    FROM x WHERE d.business_id = ANY (ARRAY[x.business_id]) AND d.id = x.id AND d.webhook_id = x.webhook_id AND d.event_id = x.event_id
    RETURNING 1
)
SELECT count(*) FROM ended`

// Expire ends deliveries of one endpoint that have been due for longer than age,
// up to ExpireStep of them, and returns how many: a dead endpoint's backlog,
// which its breaker keeps from being attempted, ends too. The endpoint must have
// failed for as long: what has waited for another reason, a pause or an outage of
// the dispatchers, has had no chance yet. It commits synchronously, for nothing
// will bring the deliveries back.
func (d *Dispatcher) Expire(ctx context.Context, key LaneKey, age time.Duration) (int64, error) {
	var ended int64
	err := pipeline(ctx, d.pool, step{sql: durablySQL},
		step{expireSQL, []any{key.BusinessID, key.WebhookID, age, ExpireStep}, one(&ended)})
	return ended, err
}
