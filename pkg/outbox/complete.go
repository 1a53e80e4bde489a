package outbox

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
)

// Result is the outcome of one attempt.
type Result struct {
	BusinessID models.BusinessID
	DeliveryID models.DeliveryID
	// WebhookID and EventID are the delivery's.
	WebhookID models.WebhookID
	EventID   models.EventID
	// Run and AttemptCount are the delivery's when it was fetched.
	Run          int
	AttemptCount int
	// Status is what the delivery becomes; pending means another attempt after Wait.
	Status models.DeliveryStatus
	Wait   time.Duration
	// FailureReason says why a failed delivery ended.
	FailureReason string
	// StatusCode is 0 when no answer came.
	StatusCode int
	Latency    time.Duration
	// ResponseBody and Error must be valid UTF-8 without NUL.
	ResponseBody string
	Error        string
	// SentAt is on the local clock; the attempt is logged by its distance to now.
	SentAt time.Time
}

// A 2xx is a fact and completes its run whoever reports it; rescheduling and
// failing go only by the newest state (run, attempt_count). Nothing moves a
// delivery that has ended. Only what was accepted is logged as an attempt.
//
// The concatenation hides the partial indexes on pending deliveries, and naming
// the event and the endpoint makes both unique indexes find one row: to a planner
// that takes the table to be empty, an index with the business alone is as good,
// and costs a scan of the business's deliveries per row. See also laneSettingsSQL.
const completeSQL = `WITH r AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[], $6::float8[], $7::text[],
                         $8::int[], $9::int[], $10::text[], $11::text[], $12::float8[], $13::uuid[], $14::uuid[])
        AS r (business_id, delivery_id, run, attempt_count, status, wait_s, reason,
              status_code, latency_ms, response_body, error, age_s, webhook_id, event_id)
), u AS (
    UPDATE webhook_deliveries d SET status = r.status, attempt_count = d.attempt_count + 1, run_attempt = d.run_attempt + 1,
        next_attempt_at = CASE WHEN r.status = 'pending' THEN now() + make_interval(secs => r.wait_s) ELSE d.next_attempt_at END,
        failure_reason = CASE WHEN r.status = 'failed' THEN r.reason END,
        finished_at = CASE WHEN r.status <> 'pending' THEN now() END
    FROM r
    WHERE d.business_id = ANY (ARRAY[r.business_id]) AND d.id = r.delivery_id
      AND d.webhook_id = r.webhook_id AND d.event_id = r.event_id AND d.status || '' = 'pending' AND d.run = r.run
      AND (r.status = 'delivered' OR d.attempt_count = r.attempt_count)
    RETURNING d.business_id, d.id, d.attempt_count, d.run, r.status_code, r.latency_ms, r.response_body, r.error, r.age_s
)
INSERT INTO webhook_attempts (business_id, delivery_id, number, run, status_code, latency_ms, response_body, error, replay, attempted_at)
SELECT business_id, id, attempt_count, run, nullif(status_code, 0), latency_ms, nullif(response_body, ''), nullif(error, ''),
       run > 1, now() - make_interval(secs => age_s)
FROM u
RETURNING delivery_id`

// Complete records attempts and returns those deliveries whose result was
// accepted. The others had been completed, ended or replayed by someone else.
// The results are sorted in place: all completions lock in one order.
func (d *Dispatcher) Complete(ctx context.Context, results []Result) ([]models.DeliveryID, error) {
	slices.SortFunc(results, func(a, b Result) int {
		if order := bytes.Compare(a.BusinessID[:], b.BusinessID[:]); order != 0 {
			return order
		}
		return bytes.Compare(a.DeliveryID[:], b.DeliveryID[:])
	})
	var accepted []models.DeliveryID
	scan := func(rows pgx.Rows, id *models.DeliveryID) error { return rows.Scan(id) }
	err := pipeline(ctx, d.pool, step{completeSQL, resultArrays(results, time.Now()), each(&accepted, scan)})
	return accepted, err
}

func resultArrays(results []Result, now time.Time) []any {
	n := len(results)
	businesses, ids := make([]models.BusinessID, n), make([]models.DeliveryID, n)
	runs, attempts, codes, latencies := make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	statuses, reasons, bodies, errors := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	webhooks, events := make([]models.WebhookID, n), make([]models.EventID, n)
	waits, ages := make([]float64, n), make([]float64, n)
	for i, r := range results {
		businesses[i], ids[i] = r.BusinessID, r.DeliveryID
		webhooks[i], events[i] = r.WebhookID, r.EventID
		runs[i], attempts[i] = int32(r.Run), int32(r.AttemptCount)
		statuses[i], reasons[i], waits[i] = string(r.Status), r.FailureReason, r.Wait.Seconds()
		codes[i], latencies[i] = int32(r.StatusCode), int32(r.Latency.Milliseconds())
		bodies[i], errors[i], ages[i] = r.ResponseBody, r.Error, max(now.Sub(r.SentAt), 0).Seconds()
	}
	return []any{businesses, ids, runs, attempts, statuses, waits, reasons, codes, latencies, bodies, errors, ages, webhooks, events}
}
