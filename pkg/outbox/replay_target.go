package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/txn-service/txn/pkg/models"
)

// replayTarget is the endpoint that a step is about.
type replayTarget struct {
	webhook        models.WebhookID
	after          models.EventID
	status         models.WebhookStatus
	deleted        bool
	maxConcurrency int
}

// The endpoint's row is locked against being changed, disabled or deleted: what
// the step makes pending holds for the endpoint as it is.
const nextTargetSQL = `SELECT t.webhook_id, t.after_event_id, w.status, w.deleted_at IS NOT NULL, w.max_concurrency
FROM webhook_replay_targets t JOIN webhooks w ON w.business_id = t.business_id AND w.id = t.webhook_id
WHERE t.business_id = $1 AND t.replay_id = $2 ORDER BY t.next_step_at, t.webhook_id LIMIT 1 FOR SHARE OF w`

func (s *replayStep) nextTarget(ctx context.Context) (found bool, err error) {
	t := &s.target
	err = s.tx.QueryRow(ctx, nextTargetSQL, s.business, s.id).Scan(&t.webhook, &t.after, &t.status, &t.deleted, &t.maxConcurrency)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("next endpoint of a replay: %w", err)
	}
	return true, nil
}

const congestedSQL = `SELECT count(*) >= $3 FROM (
    SELECT FROM webhook_deliveries
    WHERE business_id = $1 AND webhook_id = $2 AND status = 'pending' AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT $3) due`

// congested reports whether the endpoint has so much due already that more would
// only queue, with live deliveries behind it. What it has in flight is due too.
func (s *replayStep) congested(ctx context.Context, most int) (congested bool, err error) {
	limit := most + 4*s.target.maxConcurrency
	err = s.tx.QueryRow(ctx, congestedSQL, s.business, s.target.webhook, limit).Scan(&congested)
	if err != nil {
		return false, fmt.Errorf("looking at a replay's endpoint: %w", err)
	}
	return congested, nil
}

// walked is an event that a step has looked at, with the delivery of it.
type walked struct {
	event    models.EventID
	delivery models.DeliveryID
	status   models.DeliveryStatus
	sequence *int64
	wanted   bool
}

const walkFailedSQL = `WITH x AS MATERIALIZED (
    SELECT event_id, id, sequence FROM webhook_deliveries
    WHERE business_id = $1 AND webhook_id = $2 AND status = 'failed' AND event_id > $3 AND event_id < $4
    ORDER BY event_id LIMIT $5
)
SELECT x.event_id, x.id, 'failed', x.sequence, e.type IS NOT NULL AND ($6::text[] IS NULL OR $6::text[]` + subscribes + `)
FROM x LEFT JOIN LATERAL (SELECT e.type FROM webhook_events e WHERE e.business_id = $1 AND e.id = x.event_id LIMIT 1) e ON true
ORDER BY x.event_id`

const walkEventsSQL = `WITH e AS MATERIALIZED (
    SELECT id, type FROM webhook_events
    WHERE business_id = $1 AND id > $3 AND id < $4
    ORDER BY id LIMIT $5
)
SELECT e.id, d.id, coalesce(d.status, ''), d.sequence, ($6::text[] IS NULL OR $6::text[]` + subscribes + `) AND ` + replayable + `
FROM e JOIN webhooks w ON w.business_id = $1 AND w.id = $2
LEFT JOIN LATERAL (` + deliveryOfSQL + `) d ON true
ORDER BY e.id`

// walk looks at the next events of the target, in their order.
// more says that there may be others behind them.
func (s *replayStep) walk(ctx context.Context, most int) (found []walked, more bool, err error) {
	query, limit := walkEventsSQL, replayScan
	if s.failedOnly {
		query = walkFailedSQL
		if s.eventTypes == nil {
			limit = most // all that failed is wanted
		}
	}
	rows, err := s.tx.Query(ctx, query, s.business, s.target.webhook, s.target.after.UUID(), firstEventAt(s.until).UUID(),
		limit, s.eventTypes)
	if err != nil {
		return nil, false, fmt.Errorf("looking for what to replay: %w", err)
	}
	found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (w walked, err error) {
		return w, row.Scan(&w.event, &w.delivery, &w.status, &w.sequence, &w.wanted)
	})
	if err != nil {
		return nil, false, fmt.Errorf("looking for what to replay: %w", err)
	}
	return found, len(found) == limit, nil
}

// replayBatchOf is what a step replays, in the order of the events.
type replayBatchOf struct {
	events []models.EventID
	// ids are the deliveries to restart, zero where one has to be made.
	ids []models.DeliveryID
	// sequences are those to make deliveries with, -1 while no delivery of the
	// endpoint before it has been seen.
	sequences []int64
	// end says that all that was walked has been dealt with.
	end bool
}

func (b *replayBatchOf) deliveries() int { return len(b.events) }

// choose takes the first deliveries that are wanted, counts, and moves the target
// behind the last event that was dealt with.
func (s *replayStep) choose(found []walked, most int) (b replayBatchOf) {
	b.end = true
	sequence := int64(-1)
	for i := range found {
		w := &found[i]
		if w.sequence != nil {
			sequence = *w.sequence
		}
		switch {
		case !w.wanted:
		case w.status == models.DeliveryPending:
			s.count.Matched++
			s.count.Pending++
		case b.deliveries() == most:
			b.end = false
			return b
		default:
			b.events, b.ids, b.sequences = append(b.events, w.event), append(b.ids, w.delivery), append(b.sequences, sequence)
			s.count.Matched++
			if w.delivery.IsZero() {
				s.count.Missing++
			}
		}
		s.target.after = w.event
	}
	return b
}

// replaySQL restarts the deliveries named by $4 and makes those of the events $3
// that have none, and touches the lane, whose holder would not look again
// otherwise. $6 is when the first of them is due, $7 how many seconds apart the
// others are. For ANY and the concatenation see laneSettingsSQL and completeSQL.
const replaySQL = `WITH x AS MATERIALIZED (
    SELECT $1::uuid AS business_id, $2::uuid AS webhook_id, event_id, delivery_id, n, $6::timestamptz + make_interval(secs => (n - 1) * $7::float8) AS due,
           CASE WHEN sequence >= 0 THEN sequence ELSE $8::bigint END AS sequence
    FROM unnest($3::uuid[], $4::uuid[], $5::bigint[]) WITH ORDINALITY AS x (event_id, delivery_id, sequence, n)
), restarted AS (
    UPDATE webhook_deliveries d SET status = 'pending', run = d.run + 1, run_attempt = 0, ordered = w.ordered,
        next_attempt_at = x.due, finished_at = NULL, failure_reason = NULL
    FROM x, webhooks w
    WHERE d.business_id = ANY (ARRAY[x.business_id]) AND d.id = x.delivery_id AND d.webhook_id = x.webhook_id AND d.event_id = x.event_id
      AND d.status || '' = 'failed' AND w.business_id = $1 AND w.id = $2
    RETURNING d.next_attempt_at AS due
), made AS (
    INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, run, next_attempt_at, sequence, ordered, created_at)
    SELECT $1, uuid_v7(statement_timestamp(), x.n), x.event_id, $2, $9, x.due, x.sequence, w.ordered, statement_timestamp()
    FROM x, webhooks w
    WHERE x.delivery_id IS NULL AND w.business_id = $1 AND w.id = $2 ORDER BY x.n
    ON CONFLICT (business_id, webhook_id, event_id) DO NOTHING
    RETURNING next_attempt_at AS due
), done AS MATERIALIZED (
    SELECT count(*) AS n, min(due) AS due FROM (SELECT due FROM restarted UNION ALL SELECT due FROM made) all_of_them
), touched AS (
    UPDATE webhook_lanes l SET touches = l.touches + 1,
        due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > now() THEN l.due_at
                 ELSE greatest(least(l.due_at, done.due), l.blocked_until) END
    FROM done WHERE done.n > 0 AND l.business_id = $1 AND l.webhook_id = $2
    RETURNING CASE WHEN l.due_at > now() AND l.owner IS NOT NULL THEN l.owner END AS holder, l.due_at <= now() AS due
)
SELECT done.n, touched.holder, coalesce(touched.due, false) FROM done LEFT JOIN touched ON true`

// replay makes the batch pending. What someone else has restarted or made in the
// meantime counts as pending.
func (s *replayStep) replay(ctx context.Context, b *replayBatchOf, owner pgtype.UUID) error {
	before, err := s.sequenceBefore(ctx, b)
	if err != nil {
		return err
	}
	var holder pgtype.UUID
	var replayed int64
	err = s.tx.QueryRow(ctx, replaySQL, s.business, s.target.webhook, b.events, b.ids, b.sequences, s.due, 1/s.rate, before, firstReplayRun).
		Scan(&replayed, &holder, &s.result.Due)
	if err != nil {
		return fmt.Errorf("replaying: %w", err)
	}
	s.count.Replayed += replayed
	s.count.Pending += int64(b.deliveries()) - replayed
	s.due = s.due.Add(time.Duration(float64(replayed) / s.rate * float64(time.Second)))
	s.result.Webhook = s.target.webhook
	if s.result.Mine = holder.Valid && holder == owner; holder.Valid && !s.result.Mine {
		s.result.Foreign = []string{holder.String()}
	}
	return nil
}

const sequenceBeforeSQL = `SELECT coalesce((SELECT sequence FROM webhook_deliveries
    WHERE business_id = $1 AND webhook_id = $2 AND event_id < $3 ORDER BY event_id DESC LIMIT 1), 0)`

// sequenceBefore is the sequence of the endpoint's last delivery before the
// batch, 0 when there is none: see targetSQL.
func (s *replayStep) sequenceBefore(ctx context.Context, b *replayBatchOf) (before int64, err error) {
	if b.sequences[0] >= 0 {
		return 0, nil
	}
	err = s.tx.QueryRow(ctx, sequenceBeforeSQL, s.business, s.target.webhook, b.events[0]).Scan(&before)
	if err != nil {
		return 0, fmt.Errorf("placing a replay: %w", err)
	}
	return before, nil
}

// moveTarget notes how far the target is and when its next turn is.
func (s *replayStep) moveTarget(ctx context.Context, pause time.Duration) error {
	_, err := s.tx.Exec(ctx, `UPDATE webhook_replay_targets SET after_event_id = $4, next_step_at = now() + $5::interval
		WHERE business_id = $1 AND replay_id = $2 AND webhook_id = $3`, s.business, s.id, s.target.webhook, s.target.after.UUID(), pause)
	if err != nil {
		return fmt.Errorf("moving a replay: %w", err)
	}
	return nil
}

func (s *replayStep) finishTarget(ctx context.Context) error {
	_, err := s.tx.Exec(ctx, `DELETE FROM webhook_replay_targets WHERE business_id = $1 AND replay_id = $2 AND webhook_id = $3`,
		s.business, s.id, s.target.webhook)
	if err != nil {
		return fmt.Errorf("finishing an endpoint of a replay: %w", err)
	}
	return nil
}
