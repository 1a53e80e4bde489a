package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// TestHealthTellsTheTruthInEachOutage stops PostgreSQL and Redis under a running
// API, one after the other: each answer names what is away, says whether traffic may
// come, and is right again by itself.
func TestHealthTellsTheTruthInEachOutage(t *testing.T) {
	t.Parallel()
	postgres, redis := dbtest.Server(t), dbtest.RedisServer(t)
	c := settings(dbtest.NewOn(t, postgres).URL)
	c.Redis.URL, c.RateLimit.PerIP = redis.URL(), "100000-M"
	a := start(t, c)
	client := newClient(t, issueKey(t, c.Database.URL))
	url := "http://" + a.api
	account := openAccount(t, client, url, "a", 1)
	// becomes waits until the three tell what they should, liveness at every moment.
	becomes := func(ready, health int, status, postgres, redis string) {
		t.Helper()
		var report struct {
			Status     string
			Components map[string]struct{ Status string }
		}
		require.Eventually(t, func() bool {
			live, _ := get(t, url+"/livez", "")
			require.Equal(t, http.StatusOK, live, "it is not for a restart to bring a database back")
			readyStatus, readyBody := get(t, url+"/readyz", "")
			healthStatus, body := get(t, url+"/health", "")
			require.NoError(t, json.Unmarshal([]byte(body), &report))
			return readyStatus == ready && healthStatus == health && strings.Contains(readyBody, `"`+status+`"`) && report.Status == status &&
				report.Components["postgres"].Status == postgres && report.Components["redis"].Status == redis
		}, 30*time.Second, 50*time.Millisecond, "%v", &report)
	}
	moves := func(key string) (status int) {
		status, _, _, err := client.call("POST", url+"/v1/transactions", key,
			fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1}`, account))
		require.NoError(t, err)
		return status
	}
	becomes(http.StatusOK, http.StatusOK, "ok", "ok", "ok")

	require.NoError(t, postgres.StopImmediate(t.Context()))
	becomes(http.StatusServiceUnavailable, http.StatusServiceUnavailable, "down", "down", "ok")
	_, body := get(t, url+"/readyz", "")
	require.Contains(t, body, "postgres does not answer")
	require.Equal(t, http.StatusServiceUnavailable, moves("while it is away"))
	require.NoError(t, postgres.Start(t.Context()))
	becomes(http.StatusOK, http.StatusOK, "ok", "ok", "ok")
	require.Eventually(t, func() bool { return moves("while it is away") == http.StatusCreated }, 20*time.Second, 50*time.Millisecond)

	require.NoError(t, redis.StopImmediate(t.Context()))
	becomes(http.StatusOK, http.StatusOK, "degraded", "ok", "down")
	require.Equal(t, http.StatusCreated, moves("without redis"), "money moves")
	inMemory := func(want string) func() bool {
		return func() bool {
			moves("limited") // counts, and so looks whether Redis is there
			_, scrape := get(t, "http://"+a.admin+"/metrics", "")
			return strings.Contains(scrape, "txn_ratelimit_in_memory "+want)
		}
	}
	require.Eventually(t, inMemory("1"), 20*time.Second, 50*time.Millisecond, "the limiter counts in memory")
	require.NoError(t, redis.Start(t.Context()))
	becomes(http.StatusOK, http.StatusOK, "ok", "ok", "ok")
	require.Eventually(t, inMemory("0"), 20*time.Second, 50*time.Millisecond, "and in Redis again")
}
