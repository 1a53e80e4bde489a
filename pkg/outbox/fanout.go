package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Bounds of one fan-out step.
const (
	fanOutEvents     = 500
	fanOutDeliveries = 2000
)

// A broadcast makes its first lanes due at once and paces the others, so that
// another business's lane is never queued behind all of them.
const (
	promptLanes = 64
	lanePace    = 200 * time.Microsecond
)

const lockPartSQL = `SELECT pg_advisory_xact_lock($1, $2)`

// fanOutSQL moves events of one part from the outbox to deliveries. It reads
// from the front each time, with no cursor over seq: a row that commits late is
// seen by the next step. Deliveries are made in the order of seq up to the limit;
// the event at the limit keeps its position in after_webhook_id, the ones after
// it wait. x must come out of an incremental sort for the limit to stop early.
//
// Times are the statement's, not the transaction's: that began before it waited
// for the part, and ids and due times would run backwards against seq.
//
// The touch of a lane is unconditional: with it, a release that has not seen
// these deliveries is refused (see releaseSQL).
const fanOutSQL = `WITH x AS MATERIALIZED (
    SELECT o.seq, o.business_id, o.event_id, m.id AS webhook_id, m.ordered
    FROM (SELECT seq, business_id, event_id, type, after_webhook_id FROM webhook_outbox
          WHERE part = $1 ORDER BY part, seq LIMIT $2) o
    CROSS JOIN LATERAL (
        SELECT w.id, w.ordered FROM webhooks w
        WHERE w.business_id = o.business_id AND w.deleted_at IS NULL AND w.status IN ('active', 'paused')
          AND w.id > coalesce(o.after_webhook_id, '00000000-0000-0000-0000-000000000000')
          AND w.event_types && ARRAY['*', o.type, split_part(o.type, '.', 1) || '.*']
        ORDER BY w.business_id, w.id LIMIT $3) m
    ORDER BY o.seq, m.id LIMIT $3
), edge AS MATERIALIZED (
    SELECT max(seq) AS seq FROM x HAVING count(*) = $3
), advanced AS (
    UPDATE webhook_outbox b SET after_webhook_id = (SELECT x.webhook_id FROM x WHERE x.seq = edge.seq ORDER BY x.webhook_id DESC LIMIT 1)
    FROM edge WHERE b.part = $1 AND b.seq = edge.seq
), done AS (
    DELETE FROM webhook_outbox b
    USING (SELECT seq FROM webhook_outbox WHERE part = $1 ORDER BY part, seq LIMIT $2) o
    WHERE b.part = $1 AND b.seq = o.seq AND o.seq < coalesce((SELECT seq FROM edge), 9223372036854775807)
    RETURNING 1
), made AS (
    INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, next_attempt_at, sequence, ordered, created_at)
    SELECT business_id, uuid_v7(statement_timestamp(), row_number() OVER ()), event_id, webhook_id, statement_timestamp(), seq, ordered, statement_timestamp()
    FROM x ORDER BY seq, webhook_id
    ON CONFLICT (business_id, webhook_id, event_id) DO NOTHING
    RETURNING business_id, webhook_id
), locked AS MATERIALIZED (
    SELECT l.business_id, l.webhook_id
    FROM (SELECT DISTINCT business_id, webhook_id FROM made) t
    JOIN webhook_lanes l ON l.business_id = t.business_id AND l.webhook_id = t.webhook_id
    ORDER BY l.business_id, l.webhook_id FOR NO KEY UPDATE OF l
), paced AS (
    SELECT business_id, webhook_id,
           greatest(0, row_number() OVER (PARTITION BY business_id ORDER BY webhook_id) - $4) * $5::interval AS pace
    FROM locked
), touched AS (
    UPDATE webhook_lanes l SET touches = l.touches + 1,
        due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > statement_timestamp() THEN l.due_at
                 ELSE greatest(least(l.due_at, statement_timestamp() + p.pace), l.blocked_until) END
    FROM paced p WHERE l.business_id = p.business_id AND l.webhook_id = p.webhook_id
    RETURNING l.business_id, l.webhook_id,
              CASE WHEN l.due_at > statement_timestamp() AND l.owner IS NOT NULL THEN l.owner END AS holder,
              l.due_at <= statement_timestamp() AS due
)
SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM made), EXISTS (SELECT FROM edge),
       t.business_id, t.webhook_id, t.holder, t.due
FROM (SELECT 1) one LEFT JOIN touched t ON true`

// FanOutResult is what one step did.
type FanOutResult struct {
	// Events left the outbox and Deliveries were made.
	Events, Deliveries int
	// More says that the step stopped at a limit.
	More bool
	// Mine are lanes that this dispatcher holds and that have new work.
	Mine []LaneKey
	// Foreign are the identities of other dispatchers that hold lanes with new work.
	Foreign []string
	// Due says that lanes without a holder became due.
	Due bool
}

// FanOut does one step of a part: up to 500 events and 2,000 deliveries in one
// transaction. Steps of one part wait for each other, whatever process they are
// in, so that events of one business fan out in order.
func (d *Dispatcher) FanOut(ctx context.Context, part int16) (FanOutResult, error) {
	var result FanOutResult
	err := pipeline(ctx, d.pool,
		step{sql: lockPartSQL, args: []any{fanOutLock, part}},
		step{
			sql:  fanOutSQL,
			args: []any{part, fanOutEvents, fanOutDeliveries, promptLanes, lanePace},
			read: func(rows pgx.Rows) error { return d.readFanOut(rows, &result) },
		})
	result.More = result.More || result.Events == fanOutEvents
	return result, err
}

func (d *Dispatcher) readFanOut(rows pgx.Rows, result *FanOutResult) error {
	foreign := make(map[pgtype.UUID]bool)
	for rows.Next() {
		var key LaneKey
		var holder pgtype.UUID
		var due *bool
		err := rows.Scan(&result.Events, &result.Deliveries, &result.More, &key.BusinessID, &key.WebhookID, &holder, &due)
		if err != nil {
			return err
		}
		switch {
		case holder == d.owner:
			result.Mine = append(result.Mine, key)
		case holder.Valid:
			foreign[holder] = true
		case due != nil && *due:
			result.Due = true
		}
	}
	for holder := range foreign {
		result.Foreign = append(result.Foreign, holder.String())
	}
	return rows.Err()
}
