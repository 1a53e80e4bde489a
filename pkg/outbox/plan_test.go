package outbox

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// explain returns the plan that a pipeline would run.
func (k *kit) explain(sql string, args ...any) string {
	k.t.Helper()
	tx, err := k.db.Pool.Begin(k.t.Context())
	require.NoError(k.t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(k.t.Context())) }()
	_, err = tx.Exec(k.t.Context(), laneSettingsSQL)
	require.NoError(k.t, err)
	rows, err := tx.Query(k.t.Context(), "EXPLAIN (ANALYZE, BUFFERS) "+sql, args...)
	require.NoError(k.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(k.t, err)
	return strings.Join(lines, "\n")
}

var scansATable = regexp.MustCompile(`Seq Scan on webhook|Bitmap Heap Scan|Hash Join|Merge Join`)

// The tables swing between nothing and millions of rows, with statistics of
// neither: the plans must be the same.
func TestPlansStayOnTheirIndexes(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"empty": 0, "1k": 1000, "100k": 100_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			business := k.business()
			key := k.endpoint(business, "")
			k.fill(key, size)
			due := k.dueArgs(key)
			for statement, run := range map[string]struct {
				sql  string
				args []any
			}{
				"fan-out":   {fanOutSQL, fanOutArgs(PartOf(business))},
				"claim":     {claimSQL, []any{64, k.owner, Lease}},
				"fetch":     {fetchSQL, []any{due.businesses, due.webhooks, due.epochs, []int32{64}, []bool{false}, k.owner}},
				"ordered":   {fetchSQL, []any{due.businesses, due.webhooks, due.epochs, []int32{64}, []bool{true}, k.owner}},
				"messages":  {messagesSQL, []any{due.businesses, due.events}},
				"complete":  {completeSQL, resultArrays(due.results, due.results[0].SentAt)},
				"heartbeat": {heartbeatSQL, []any{due.businesses, due.webhooks, due.epochs, []int16{1}, k.owner, Lease, failingLimit, []int32{1}, []int32{1}}},
				"release":   {releaseSQL, []any{due.businesses, due.webhooks, due.epochs, []int64{0}, []float64{0}, []bool{false}, []int32{0}, []int16{0}, k.owner, failingLimit, []int32{0}, []int32{0}}},
				"probe":     {probeSQL, []any{Parts}},
				"expire":    {expireSQL, []any{business, key.WebhookID, Lease, ExpireStep}},
			} {
				plan := k.explain(run.sql, run.args...)
				require.NotRegexp(t, scansATable, plan, statement)
				if statement == "fan-out" {
					require.Equal(t, 2, strings.Count(plan, "])) AND (seq = t_"), "what is done or goes on is found by its place:\n%s", plan)
				}
				if statement == "complete" {
					require.Regexp(t, `Index Cond: \(\(business_id = ANY \(ARRAY\[r_1.business_id\]\)\) AND \((id|webhook_id) = `, plan, "not the backlog of the business")
				}
				if testing.Verbose() {
					t.Log(statement, "\n", plan)
				}
			}
		})
	}
}

type dueArgs struct {
	businesses []models.BusinessID
	webhooks   []models.WebhookID
	epochs     []int64
	events     []models.EventID
	results    []Result
}

func (k *kit) dueArgs(key LaneKey) dueArgs {
	k.exec(`UPDATE webhook_lanes SET owner = $1, epoch = 1 WHERE business_id = $2 AND webhook_id = $3`, k.owner, key.BusinessID, key.WebhookID)
	return dueArgs{
		businesses: []models.BusinessID{key.BusinessID}, webhooks: []models.WebhookID{key.WebhookID},
		epochs: []int64{1}, events: []models.EventID{models.NewID[models.EventPrefix]()},
		results: []Result{{BusinessID: key.BusinessID, DeliveryID: models.NewID[models.DeliveryPrefix](), Run: 1, Status: models.DeliveryDelivered}},
	}
}

// fill adds n events that wait in the outbox, n ended and n pending deliveries
// of one endpoint, and n/100 endpoints beside it.
func (k *kit) fill(key LaneKey, n int) {
	k.exec(`INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency)
		SELECT $1, uuid_v7(now(), n), 'https://example.com/', '{hold.created}', 'x', 1 FROM generate_series(1, $2) n`, key.BusinessID, n/100)
	k.exec(`INSERT INTO webhook_lanes (business_id, webhook_id)
		SELECT business_id, id FROM webhooks WHERE id <> $1`, key.WebhookID)
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT $1, uuid_v7(now(), n), 'account.created', '{}', now() FROM generate_series(1, $2) n`, key.BusinessID, n)
	k.exec(`INSERT INTO webhook_outbox (part, business_id, event_id, type)
		SELECT $1, business_id, id, type FROM webhook_events`, PartOf(key.BusinessID))
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at)
		SELECT $1, uuid_v7(now(), n), uuid_v7(now(), n), $2, CASE n % 2 WHEN 0 THEN 'pending' ELSE 'delivered' END, now(), n, now(),
		       CASE n % 2 WHEN 1 THEN now() END
		FROM generate_series(1, 2 * $3) n`, key.BusinessID, key.WebhookID, n)
}
