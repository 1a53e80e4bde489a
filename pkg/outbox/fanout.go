package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Bounds of one fan-out step. While several businesses wait in a part, each gets
// an equal share of the deliveries, but no less than fanOutShare.
const (
	fanOutEvents     = 500
	fanOutDeliveries = 1000
	fanOutShare      = 100
)

// Lanes are claimed in the order of due_at, and a lane that gets work is due
// headStart ago: the first lanes of a tenant go ahead of what has waited for less.
// Of the lanes that one event reaches, those after the first promptLanes follow at
// lanePace, which is what sending to a lane costs: another tenant's lane finds
// itself behind the part of a broadcast that is being sent and before the rest.
const (
	headStart   = 5 * time.Second
	promptLanes = 64
	lanePace    = 500 * time.Microsecond
)

const lockPartSQL = `SELECT pg_advisory_xact_lock($1, $2)`

// fanOutSQL moves events of one part from the outbox to deliveries. It reads
// from the front each time, with no cursor over seq: a row that commits late is
// seen by the next step.
//
// matched holds the endpoints of each (business, type) once, however many events
// ask for them: judging every endpoint again for each event is what a step would
// spend its time on. g numbers the pairs; an event that is part of the way has
// one of its own, with the endpoints that are left. The endpoints of all pairs lie
// in one array, those of pair g from start[g] on, n[g] of them: a join of events
// and pairs would compare every event with every pair, or need a hash join, which
// the lane settings rule out.
//
// taken says how many endpoints each event reaches in this step: in the order of
// seq, within the business's share and the limit of all. The event at a limit
// keeps its position in after_webhook_id, and those of its business after it
// wait: an endpoint gets its deliveries in the order of seq.
//
// Times are the statement's, not the transaction's: that began before it waited
// for the part, and ids and due times would run backwards against seq.
//
// The touch of a lane is unconditional: with it, a release that has not seen
// these deliveries is refused (see releaseSQL).
const fanOutSQL = `WITH o AS MATERIALIZED (
    SELECT f.*, dense_rank() OVER (ORDER BY business_id, type, after_webhook_id) AS g
    FROM (SELECT seq, business_id, event_id, type, after_webhook_id, fanned_out FROM webhook_outbox
          WHERE part = $1 ORDER BY part, seq LIMIT $2) f
), matched AS MATERIALIZED (
    SELECT p.g, w.id, w.ordered
    FROM (SELECT DISTINCT g, business_id, type, after_webhook_id FROM o) p
    LEFT JOIN LATERAL (
        SELECT w.id, w.ordered FROM webhooks w
        WHERE w.business_id = p.business_id AND w.deleted_at IS NULL AND w.status IN ('active', 'paused')
          AND w.id > coalesce(p.after_webhook_id, '00000000-0000-0000-0000-000000000000')
          AND w.event_types && ARRAY['*', p.type, split_part(p.type, '.', 1) || '.*']
        ORDER BY w.business_id, w.id LIMIT $3) w ON true
), groups AS MATERIALIZED (
    SELECT array_agg(n ORDER BY g) AS n, array_agg(start ORDER BY g) AS start
    FROM (SELECT g, count(id)::int AS n, (sum(count(id)) OVER (ORDER BY g) - count(id))::int AS start FROM matched GROUP BY g) c
), flat AS MATERIALIZED (
    SELECT array_agg(id) FILTER (WHERE id IS NOT NULL) AS ids, array_agg(ordered) FILTER (WHERE id IS NOT NULL) AS ordered
    FROM (SELECT * FROM matched ORDER BY g, id) m
), wanted AS MATERIALIZED (
    SELECT seq, business_id, event_id, fanned_out, n, start,
           least(n, greatest(0, room - sum(n) OVER (PARTITION BY business_id ORDER BY seq) + n)) AS share
    FROM (SELECT o.*, ((SELECT n FROM groups))[g] AS n, ((SELECT start FROM groups))[g] AS start,
                 (SELECT greatest($4, $3 / greatest(1, count(DISTINCT business_id))) FROM o) AS room FROM o) o
), taken AS MATERIALIZED (
    SELECT $1::smallint AS part, seq, business_id, event_id, fanned_out, n, start,
           least(share, greatest(0, $3 - sum(share) OVER (ORDER BY seq) + share))::int AS take
    FROM wanted
), x AS MATERIALIZED (
    SELECT t.seq, t.business_id, t.event_id, e.id AS webhook_id, e.ordered, t.fanned_out + e.position AS position
    FROM taken t
    CROSS JOIN LATERAL unnest(((SELECT ids FROM flat))[t.start + 1 : t.start + t.take],
                              ((SELECT ordered FROM flat))[t.start + 1 : t.start + t.take])
                       WITH ORDINALITY AS e (id, ordered, position)
    WHERE t.take > 0
), advanced AS (
    UPDATE webhook_outbox b SET fanned_out = b.fanned_out + t.take,
        after_webhook_id = ((SELECT ids FROM flat))[t.start + t.take]
    FROM taken t WHERE b.part = ANY (ARRAY[t.part]) AND b.seq = t.seq AND t.take > 0 AND (t.take < t.n OR t.n = $3)
), done AS (
    DELETE FROM webhook_outbox b USING taken t
    WHERE b.part = ANY (ARRAY[t.part]) AND b.seq = t.seq AND t.take = t.n AND t.n < $3
    RETURNING 1
), made AS (
    INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, next_attempt_at, sequence, ordered, created_at)
    SELECT business_id, uuid_v7(statement_timestamp(), row_number() OVER (ORDER BY seq, webhook_id)),
           event_id, webhook_id, statement_timestamp(), seq, ordered, statement_timestamp()
    FROM x ORDER BY seq, webhook_id
    ON CONFLICT (business_id, webhook_id, event_id) DO NOTHING
    RETURNING business_id, webhook_id
), locked AS MATERIALIZED (
    SELECT l.business_id, l.webhook_id, t.position
    FROM (SELECT x.business_id, x.webhook_id, min(x.position) AS position FROM x GROUP BY x.business_id, x.webhook_id) t
    JOIN webhook_lanes l ON l.business_id = ANY (ARRAY[t.business_id]) AND l.webhook_id = t.webhook_id
    ORDER BY t.business_id, t.webhook_id FOR NO KEY UPDATE OF l
), touched AS (
    UPDATE webhook_lanes l SET touches = l.touches + 1,
        due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > statement_timestamp() THEN l.due_at
                 ELSE greatest(least(l.due_at, statement_timestamp() - $5::interval
                               + greatest(0, p.position - $6) * $7::interval),
                               CASE WHEN l.blocked_until > statement_timestamp() THEN l.blocked_until END) END
    FROM locked p WHERE l.business_id = ANY (ARRAY[p.business_id]) AND l.webhook_id = p.webhook_id
    RETURNING l.business_id, l.webhook_id,
              CASE WHEN l.due_at > statement_timestamp() AND l.owner IS NOT NULL THEN l.owner END AS holder,
              l.due_at <= statement_timestamp() AS due
)
SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM made), EXISTS (SELECT FROM taken WHERE take < n OR n = $3),
       t.business_id, t.webhook_id, t.holder, t.due
FROM (SELECT 1) one LEFT JOIN touched t ON true`

func fanOutArgs(part int16) []any {
	return []any{part, fanOutEvents, fanOutDeliveries, fanOutShare, headStart, promptLanes, lanePace}
}

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
			args: fanOutArgs(part),
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
