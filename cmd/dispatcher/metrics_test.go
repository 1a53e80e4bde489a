package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
)

// TestMetrics: what a dispatcher exports keeps the rules, and is what
// docs/metrics.md lists. Neither events nor endpoints make series up.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	for n := range 30 {
		e := w.endpoint(0)
		e.reply = func(int, http.Header) int { return []int{200, 302, 400, 500, 503}[n%5] }
	}
	w.exec(`UPDATE webhooks SET status = 'disabled', disabled_reason = 'gone' WHERE id = $1`, w.all[0].id)
	w.exec(`INSERT INTO api_keys (business_id, id, name, prefix, key_hash, scopes, expires_at)
		SELECT $1, uuid_v7(now(), n), 'k', 'txn_', sha256(n::text::bytea), '{}', now() + n * '1 day'::interval - '1 minute'::interval
		FROM generate_series(1, 10) n`, w.business)
	c := settings(w.url)
	c.Webhooks.RetrySchedule = []time.Duration{time.Millisecond}
	c.OTel.Endpoint = telemetrytest.NewCollector(t).URL
	admin, stop, _ := start(t, c)
	w.events(20)
	var scrape string
	require.Eventually(t, func() bool {
		var status int
		status, scrape = get(t, admin+"/metrics")
		return status == http.StatusOK && strings.Contains(scrape, "txn_webhook_endpoints{") &&
			!strings.Contains(scrape, `txn_webhook_attempts_total{outcome="5xx",status="failed"} 0`)
	}, 20*time.Second, 20*time.Millisecond)
	telemetrytest.RequireMetrics(t, "../../docs/metrics.md", "dispatcher", scrape)
	for _, sample := range []string{
		`txn_webhook_endpoints{status="active"} 29`, `txn_webhook_endpoints{status="disabled"} 1`, `txn_webhook_endpoints{status="paused"} 0`,
		`txn_api_keys_expiring{within="1d"} 1`, `txn_api_keys_expiring{within="7d"} 7`,
	} {
		require.Contains(t, scrape, sample)
	}
	require.NoError(t, stop())
}
