package main

import (
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dbtest"
)

var update = flag.Bool("update", false, "write the scrape that helm/txn is tested against again")

// TestScrape: the alert rules and the dashboard of helm/txn are tested against what
// a dispatcher tells Prometheus.
func TestScrape(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	w.endpoint(0)
	w.endpoint(0).reply = func(int, http.Header) int { return http.StatusInternalServerError }
	c := settings(w.url)
	c.Webhooks.RetrySchedule = []time.Duration{10 * time.Millisecond}
	admin, stop, _ := start(t, c)
	w.events(10)
	w.drained(recovery())

	require.Eventually(t, func() bool {
		_, scrape := get(t, admin+"/metrics")
		return strings.Contains(scrape, "txn_webhook_endpoints{") && !strings.Contains(scrape, "txn_ledger_audit_last_pass_timestamp_seconds 0")
	}, 20*time.Second, 20*time.Millisecond, "the first census and the first audit end")

	status, scrape := get(t, admin+"/metrics")
	require.Equal(t, http.StatusOK, status)
	apitest.RequireScrape(t, "../../helm/testdata/scrapes/dispatcher.prom", scrape, *update)
	require.NoError(t, stop())
}
