package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
)

// Want asks for the due deliveries of one held lane.
type Want struct {
	LaneKey
	Epoch int64
	// Limit is how many to return at most, those that the holder has in hand
	// included: they stay pending until they are completed.
	Limit   int
	Ordered bool
}

// Due is a delivery that is ready to be sent.
type Due struct {
	ID      models.DeliveryID
	EventID models.EventID
	// Run and AttemptCount are what its completion compares and swaps on.
	Run          int
	AttemptCount int
	// RunAttempt counts the attempts of this run so far.
	RunAttempt int
	// Ready is false for the head of an ordered lane that still waits.
	Ready bool
}

// Fetched is the answer to one Want.
type Fetched struct {
	// Held is false when the lane belongs to someone else by now.
	Held bool
	// Touches is the lane's count in the same snapshot as the deliveries: a
	// release that names it is refused if work was added since.
	Touches       int64
	ConfigVersion int64
	Due           []Due
}

// An ordered lane returns its head even when that is not due: what comes after
// must not overtake it.
const fetchSQL = `SELECT w.n, l.touches, l.config_version, d.id, d.event_id, d.run, d.attempt_count, d.run_attempt, d.ready
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::int[], $5::boolean[])
     WITH ORDINALITY AS w (business_id, webhook_id, epoch, want, ordered, n)
JOIN webhook_lanes l ON l.business_id = ANY (ARRAY[w.business_id]) AND l.webhook_id = w.webhook_id
     AND l.owner = $6 AND l.epoch = w.epoch
LEFT JOIN LATERAL (
    (SELECT id, event_id, run, attempt_count, run_attempt, true AS ready FROM webhook_deliveries
     WHERE NOT w.ordered AND business_id = w.business_id AND webhook_id = w.webhook_id
       AND status = 'pending' AND next_attempt_at <= now()
     ORDER BY next_attempt_at, id LIMIT w.want)
    UNION ALL
    (SELECT id, event_id, run, attempt_count, run_attempt, next_attempt_at <= now() FROM webhook_deliveries
     WHERE w.ordered AND business_id = w.business_id AND webhook_id = w.webhook_id
       AND status = 'pending' AND ordered
     ORDER BY sequence, event_id LIMIT w.want)
) d ON true
ORDER BY w.n`

// Fetch reads what is due on held lanes, in one round trip, without locking it:
// only the holder of a lane sends. The answers come in the order of the wants.
func (d *Dispatcher) Fetch(ctx context.Context, wants []Want) ([]Fetched, error) {
	fetched := make([]Fetched, len(wants))
	businesses, webhooks := laneKeys(wants, func(w *Want) LaneKey { return w.LaneKey })
	epochs, limits, ordered := make([]int64, len(wants)), make([]int32, len(wants)), make([]bool, len(wants))
	for i, w := range wants {
		epochs[i], limits[i], ordered[i] = w.Epoch, int32(w.Limit), w.Ordered
	}
	read := func(rows pgx.Rows) error {
		clear(fetched)
		for rows.Next() {
			if err := scanDue(rows, fetched); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	err := pipeline(ctx, d.pool, step{fetchSQL, []any{businesses, webhooks, epochs, limits, ordered, d.owner}, read})
	return fetched, err
}

func scanDue(rows pgx.Rows, fetched []Fetched) error {
	var n int
	var touches, version int64
	var id models.DeliveryID
	var event models.EventID
	var run, attempts, runAttempts *int
	var ready *bool
	if err := rows.Scan(&n, &touches, &version, &id, &event, &run, &attempts, &runAttempts, &ready); err != nil {
		return err
	}
	f := &fetched[n-1]
	f.Held, f.Touches, f.ConfigVersion = true, touches, version
	if run != nil {
		f.Due = append(f.Due, Due{ID: id, EventID: event, Run: *run, AttemptCount: *attempts, RunAttempt: *runAttempts, Ready: *ready})
	}
	return nil
}

// EventKey names an event.
type EventKey struct {
	BusinessID models.BusinessID
	EventID    models.EventID
}

// Message is the part of an event that is sent.
type Message struct {
	Type models.EventType
	// Body is shared: nobody may change it.
	Body      []byte
	CreatedAt time.Time
	// TraceContext is the trace in which the event was made, for WithTraceContext;
	// nil when that was not sampled.
	TraceContext *string
}

const messagesSQL = `SELECT e.business_id, e.id, e.type, e.body, e.created_at, e.trace_context
FROM unnest($1::uuid[], $2::uuid[]) AS k (business_id, id)
JOIN webhook_events e ON e.business_id = ANY (ARRAY[k.business_id]) AND e.id = k.id`

// Messages reads events. They are read apart from the deliveries so that what is
// in hand already, and what many endpoints get, is not read again and again.
func (d *Dispatcher) Messages(ctx context.Context, keys []EventKey) (map[EventKey]Message, error) {
	businesses, ids := make([]models.BusinessID, len(keys)), make([]models.EventID, len(keys))
	for i, key := range keys {
		businesses[i], ids[i] = key.BusinessID, key.EventID
	}
	messages := make(map[EventKey]Message, len(keys))
	read := func(rows pgx.Rows) error {
		for rows.Next() {
			var key EventKey
			var m Message
			if err := rows.Scan(&key.BusinessID, &key.EventID, &m.Type, &m.Body, &m.CreatedAt, &m.TraceContext); err != nil {
				return err
			}
			messages[key] = m
		}
		return rows.Err()
	}
	err := pipeline(ctx, d.pool, step{messagesSQL, []any{businesses, ids}, read})
	return messages, err
}
