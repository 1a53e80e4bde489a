package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
)

// TestMetrics: what an API exports keeps the rules, and is what docs/metrics.md
// lists. Callers cannot make series up.
func TestMetrics(t *testing.T) {
	t.Parallel()
	c := settings(dbtest.New(t).URL)
	c.Redis.URL, c.OTel.Endpoint = dbtest.Redis(t), telemetrytest.NewCollector(t).URL
	a := start(t, c)
	client := newClient(t, issueKey(t, c.Database.URL))
	account := openAccount(t, client, "http://"+a.api, "a", 1)
	for n := range 300 {
		for _, call := range [][2]string{
			{"GET", fmt.Sprintf("/v1/nothing-%d", n)}, {"GET", fmt.Sprintf("/v1/accounts/%s%d", account, n)}, {fmt.Sprintf("HACK%d", n), "/v1/accounts"},
		} {
			_, _, _, err := client.call(call[0], "http://"+a.api+call[1], "", "")
			require.NoError(t, err)
		}
	}
	status, scrape := get(t, "http://"+a.admin+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	telemetrytest.RequireMetrics(t, "../../docs/metrics.md", "api", scrape)
}
