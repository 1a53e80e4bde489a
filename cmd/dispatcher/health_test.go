package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// TestHealthTellsTheTruthInEachOutage stops PostgreSQL and Redis under a running
// dispatcher, one after the other: each answer names what is away and is right
// again by itself.
func TestHealthTellsTheTruthInEachOutage(t *testing.T) {
	t.Parallel()
	postgres, redis := dbtest.Server(t), dbtest.RedisServer(t)
	w := newWorld(t, dbtest.NewOn(t, postgres).URL)
	w.endpoint(0)
	c := settings(w.url)
	c.Redis.URL = redis.URL()
	admin, stop, _ := start(t, c)
	becomes := func(status int, of, postgres, redis string) {
		t.Helper()
		require.Eventually(t, func() bool {
			live, _ := get(t, admin+"/livez")
			require.Equal(t, http.StatusOK, live, "it is not for a restart to bring a database back")
			for _, path := range []string{"/readyz", "/health"} {
				var report struct {
					Status     string
					Components map[string]struct{ Status string }
				}
				got, body := get(t, admin+path)
				require.NoError(t, json.Unmarshal([]byte(body), &report), body)
				if got != status || report.Status != of || report.Components["postgres"].Status != postgres || report.Components["redis"].Status != redis {
					return false
				}
			}
			return true
		}, 30*time.Second, 50*time.Millisecond)
	}
	becomes(http.StatusOK, "ok", "ok", "ok")
	w.events(3)
	w.drained(recovery())

	require.NoError(t, postgres.StopImmediate(t.Context()))
	becomes(http.StatusServiceUnavailable, "down", "down", "ok")
	require.NoError(t, postgres.Start(t.Context()))
	becomes(http.StatusOK, "ok", "ok", "ok")

	require.NoError(t, redis.StopImmediate(t.Context()))
	becomes(http.StatusOK, "degraded", "ok", "down")
	require.Eventually(t, func() bool { return w.commit(0, 3) }, 20*time.Second, 50*time.Millisecond)
	w.drained(recovery())
	require.NoError(t, redis.Start(t.Context()))
	becomes(http.StatusOK, "ok", "ok", "ok")
	require.NoError(t, stop())
}
