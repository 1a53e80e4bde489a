package outbox

import (
	"context"
	"flag"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// explain returns the plan that a pipeline would run.
func (k *kit) explain(sql string, args ...any) string {
	k.t.Helper()
	k.t.Log(sql[:min(len(sql), 60)])
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

// planRows is how many events, deliveries and attempts the largest case has; `make
// soak` asks for a million.
var planRows = flag.Int("plan-rows", 20_000, "rows that the plans of statements are checked on")

var (
	scansATable = regexp.MustCompile(`Seq Scan on webhook(?:s|_[^d]|_deliv)|Bitmap Heap Scan|Hash Join|Merge Join`)
	removed     = regexp.MustCompile(`Rows Removed by (?:Join )?Filter: (\d+)`)
	scanned     = regexp.MustCompile(`Scan using webhooks?_.* \(actual time=\S+ rows=(\d+) loops=(\d+)\)`)
)

// The tables swing between nothing and millions of rows, with statistics of
// neither: whatever there is and whatever the planner thinks, no statement may
// look at many more rows than it is about. "vacuumed" is the worst case: full
// tables that the planner takes to be empty, for they were when they were
// vacuumed. The table of dispatchers is left out: it has a row per process.
func TestPlansStayOnTheirIndexes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows  int
		empty bool
	}{
		"empty": {0, true}, "1k": {1000, false}, "vacuumed": {2000, true}, "many": {*planRows, false}, "many vacuumed": {*planRows, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			business := k.business()
			key := k.endpoint(business, "")
			if c.empty {
				k.seemEmpty(key)
			}
			k.fill(key, c.rows)
			due := k.dueArgs(key)
			n := len(due.businesses)
			for statement, run := range map[string]struct {
				sql  string
				args []any
				most int // rows that one scan returns
			}{
				"fan-out":          {fanOutSQL, fanOutArgs(PartOf(business)), 3 * fanOutDeliveries},
				"claim":            {claimSQL, []any{64, k.owner, Lease}, 64},
				"reload":           {reloadSQL, []any{business, key.WebhookID, k.owner}, 1},
				"fetch":            {fetchSQL, []any{due.businesses, due.webhooks, due.epochs, repeat[int32](64, n), repeat(false, n), k.owner}, 500},
				"ordered":          {fetchSQL, []any{due.businesses, due.webhooks, due.epochs, repeat[int32](64, n), repeat(true, n), k.owner}, 500},
				"messages":         {messagesSQL, []any{repeat(business, len(due.events)), due.events}, 200},
				"complete":         {completeSQL, resultArrays(due.results, time.Now()), 200},
				"heartbeat":        {heartbeatSQL, []any{due.businesses, due.webhooks, due.epochs, repeat[int16](1, n), k.owner, Lease, failingLimit, repeat[int32](1, n), repeat[int32](1, n)}, 50},
				"release":          {releaseSQL, []any{due.businesses, due.webhooks, due.epochs, repeat[int64](0, n), repeat[float64](0, n), repeat(false, n), repeat[int32](0, n), repeat[int16](0, n), k.owner, failingLimit, repeat[int32](0, n), repeat[int32](0, n)}, 100},
				"probe":            {probeSQL, []any{Parts}, 4},
				"expire":           {expireSQL, []any{business, key.WebhookID, -time.Hour, ExpireStep}, ExpireStep},
				"backlog":          {backlogSQL, []any{Parts, Lease}, 100_000},
				"purge deliveries": {purgeDeliveriesSQL, []any{business, -time.Hour, nil, purgeStep, purgeLock}, purgeStep},
				"purge events":     {purgeEventsSQL, []any{business, -time.Hour, nil, purgeStep, purgeLock, PartOf(business), purgeOutbox}, purgeOutbox + 1},
				"old":              {oldSQL, []any{nil, time.Hour, 200}, 200},
			} {
				plan := k.explain(run.sql, run.args...)
				require.NotRegexp(t, scansATable, plan, statement)
				for _, match := range scanned.FindAllStringSubmatch(plan, -1) {
					rows, err := strconv.Atoi(match[1])
					require.NoError(t, err)
					loops, err := strconv.Atoi(match[2])
					require.NoError(t, err)
					require.LessOrEqual(t, rows*loops, run.most, "%s reads what it is not about:\n%s", statement, plan)
				}
				for _, match := range removed.FindAllStringSubmatch(plan, -1) {
					rows, err := strconv.Atoi(match[1])
					require.NoError(t, err)
					require.LessOrEqual(t, rows, max(purgeStep, fanOutEvents), "%s reads what it is not about:\n%s", statement, plan)
				}
				if testing.Verbose() {
					t.Log(statement, "\n", plan)
				}
			}
		})
	}
}

func repeat[T any](value T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = value
	}
	return all
}

// seemEmpty leaves the tables with statistics of nothing.
func (k *kit) seemEmpty(key LaneKey) {
	k.fill(key, 100)
	for _, table := range []string{"webhook_outbox", "webhook_deliveries", "webhook_events", "webhook_attempts"} {
		k.exec(`DELETE FROM ` + table)
	}
	for _, table := range []string{
		"webhook_outbox", "webhook_deliveries", "webhook_events", "webhook_attempts", "webhook_lanes", "webhooks", "webhook_previous_secrets",
	} {
		k.exec(`ALTER TABLE ` + table + ` SET (autovacuum_enabled = off)`)
		k.exec(`VACUUM ANALYZE ` + table)
	}
}

// dueArgs are the arguments of a dispatcher that holds up to 50 lanes and has sent
// up to 200 deliveries.
type dueArgs struct {
	businesses []models.BusinessID
	webhooks   []models.WebhookID
	epochs     []int64
	events     []models.EventID
	results    []Result
}

func (k *kit) dueArgs(key LaneKey) dueArgs {
	k.t.Helper()
	k.exec(`UPDATE webhook_lanes SET due_at = now()`)
	k.exec(`UPDATE webhook_lanes SET owner = $1, epoch = 1, due_at = now() + $2::interval
		WHERE webhook_id IN (SELECT id FROM webhooks ORDER BY id LIMIT 50)`, k.owner, Lease)
	var due dueArgs
	rows, err := k.db.Pool.Query(k.t.Context(), `SELECT business_id, webhook_id FROM webhook_lanes WHERE owner IS NOT NULL`)
	require.NoError(k.t, err)
	for rows.Next() {
		var key LaneKey
		require.NoError(k.t, rows.Scan(&key.BusinessID, &key.WebhookID))
		due.businesses, due.webhooks, due.epochs = append(due.businesses, key.BusinessID), append(due.webhooks, key.WebhookID), append(due.epochs, 1)
	}
	require.NoError(k.t, rows.Err())
	rows, err = k.db.Pool.Query(k.t.Context(), `SELECT id, event_id FROM webhook_deliveries WHERE status = 'pending' LIMIT 200`)
	require.NoError(k.t, err)
	for rows.Next() {
		r := Result{BusinessID: key.BusinessID, WebhookID: key.WebhookID, Run: 1, Status: models.DeliveryDelivered, SentAt: time.Now()}
		require.NoError(k.t, rows.Scan(&r.DeliveryID, &r.EventID))
		due.results, due.events = append(due.results, r), append(due.events, r.EventID)
	}
	require.NoError(k.t, rows.Err())
	return due
}

// fill adds n events that wait in the outbox, n ended and n pending deliveries of
// one endpoint with an attempt each, and up to 400 endpoints beside it.
func (k *kit) fill(key LaneKey, n int) {
	k.t.Helper()
	k.exec(`WITH w AS (INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency)
		SELECT $1, uuid_v7(now(), n), 'https://example.com/', '{hold.created}', 'x', 1 FROM generate_series(1, $2) n RETURNING business_id, id)
		INSERT INTO webhook_lanes (business_id, webhook_id) SELECT business_id, id FROM w`, key.BusinessID, min(n/100, 400))
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT $1, uuid_v7(now(), n), 'account.created', '{}', now() FROM generate_series(1, $2) n`, key.BusinessID, n)
	k.exec(`INSERT INTO webhook_outbox (part, business_id, event_id, type)
		SELECT $1, business_id, id, type FROM webhook_events`, PartOf(key.BusinessID))
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, ordered, created_at, finished_at)
		SELECT $1, uuid_v7(now(), n), uuid_v7(now(), n), $2, CASE n % 2 WHEN 0 THEN 'pending' ELSE 'delivered' END, now(), n, n % 4 = 0, now(),
		       CASE n % 2 WHEN 1 THEN now() END
		FROM generate_series(1, 2 * $3) n`, key.BusinessID, key.WebhookID, n)
	k.exec(`INSERT INTO webhook_attempts (business_id, delivery_id, number, run, latency_ms, replay, attempted_at)
		SELECT business_id, id, 2, 1, 1, false, now() FROM webhook_deliveries`)
}
