package telemetry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/telemetry"
)

func scrape(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

func TestScrape(t *testing.T) {
	t.Parallel()
	registry := telemetry.NewRegistry()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?pool_max_conns=7")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	registry.MustRegister(telemetry.NewPool(pool.Stat))
	requests := telemetry.NewHTTP(registry)
	requests.Observe("/v1/accounts/:id", "GET", 200, 3*time.Millisecond)
	requests.Observe("/v1/accounts/:id", "GET", 200, 3*time.Millisecond)
	requests.Observe("/v1/accounts/:id", "GET", 404, time.Millisecond)
	requests.Observe("", "HACK", 405, time.Millisecond)
	book := telemetry.NewLedger(registry)
	book.Committed(12, time.Millisecond, 2*time.Millisecond)
	book.LockMissed(3)
	book.Followed(true)

	server := httptest.NewServer(telemetry.Handler(registry))
	t.Cleanup(server.Close)
	text := scrape(t, server.URL)
	for _, sample := range []string{
		`txn_http_requests_total{code="200",method="GET",route="/v1/accounts/:id"} 2`,
		`txn_http_requests_total{code="404",method="GET",route="/v1/accounts/:id"} 1`,
		`txn_http_requests_total{code="405",method="OTHER",route="unmatched"} 1`,
		`txn_http_request_duration_seconds_count{method="GET",route="/v1/accounts/:id"} 3`,
		`txn_database_pool_connections_max 7`,
		`txn_ledger_commit_items_sum 12`,
		`txn_ledger_commit_seconds_count 1`,
		`txn_ledger_lock_missed_total 3`,
		`txn_ledger_followed_total{outcome="kept"} 1`,
		`txn_ledger_followed_total{outcome="void"} 0`,
		`go_goroutines`, `process_resident_memory_bytes`,
	} {
		require.Contains(t, text, sample)
	}
}
