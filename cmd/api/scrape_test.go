package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dbtest"
)

var update = flag.Bool("update", false, "write the scrape that helm/txn is tested against again")

// TestScrape: the alert rules and the dashboard of helm/txn are tested against what
// an API tells Prometheus.
func TestScrape(t *testing.T) {
	t.Parallel()
	base := dbtest.New(t)
	c := settings(base.URL)
	c.Redis.URL = dbtest.Redis(t)
	c.RateLimit.PerIP = "100000-M"
	c.Ledger.Committers, c.Ledger.MaxBatch, c.Ledger.Queue = 1, 1, 1
	api := start(t, c)
	url := "http://" + api.api
	client := newClient(t, issueKey(t, base.URL))
	from, to := openAccount(t, client, url, "a", 1000), openAccount(t, client, url, "b", 1000)
	body := fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":1}`, from, to)
	status, _, _, err := client.call("POST", url+"/v1/transactions", "good", body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status)

	// An account that somebody else has locked makes movements wait, and a queue for
	// one refuses the next ones.
	tx, err := base.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM business_accounts FOR UPDATE`)
	require.NoError(t, err)
	refused := make(chan struct{})
	var once sync.Once
	var waiting sync.WaitGroup
	for n := range 20 {
		waiting.Go(func() {
			status, _, _, err := client.call("POST", url+"/v1/transactions", fmt.Sprintf("busy-%d", n), body)
			if err == nil && status == http.StatusServiceUnavailable {
				once.Do(func() { close(refused) })
			}
		})
	}
	select {
	case <-refused:
	case <-time.After(20 * time.Second):
		t.Error("the queue takes everything")
	}
	require.NoError(t, tx.Rollback(context.Background()))
	waiting.Wait()

	status, scrape := get(t, "http://"+api.admin+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	apitest.RequireScrape(t, "../../helm/testdata/scrapes/api.prom", scrape, *update)
}
