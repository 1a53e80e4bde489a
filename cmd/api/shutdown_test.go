package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// TestShutdownFinishesRequests holds a request in the database while the API is
// told to stop.
func TestShutdownFinishesRequests(t *testing.T) {
	t.Parallel()
	base := dbtest.New(t)
	key := issueKey(t, base.URL)
	a := start(t, settings(base.URL))
	release := block(t, base)

	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 1)
	go func() {
		status, body := get(t, "http://"+a.api+"/v1/business", key)
		answers <- answer{status, body}
	}()
	waitBlocked(t, base)
	a.stop()
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+a.api+"/livez", "")
		return status == 0
	}, 10*time.Second, 10*time.Millisecond, "the listener stays open")
	select {
	case <-answers:
		require.Fail(t, "answered while the database was blocked")
	case err := <-a.result:
		a.result <- err
		require.Fail(t, "stopped with a request in flight")
	default:
	}
	release()
	got := <-answers
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.NoError(t, a.wait(t))
}

// TestShutdownSendsClientsAwayFirst: a stopping API says that it is not ready while
// it still answers, on new connections too, and ends each connection with an answer.
func TestShutdownSendsClientsAwayFirst(t *testing.T) {
	t.Parallel()
	base := dbtest.New(t)
	c := settings(base.URL)
	c.API.ShutdownDelay = 3 * time.Second
	a := start(t, c)
	client := newClient(t, issueKey(t, base.URL))
	ask := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.api+"/v1/business", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+client.key)
		res, err := client.http.Do(request)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
		return res
	}
	require.False(t, ask().Close, "connections are kept")
	a.stop()
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+a.api+"/readyz", "")
		return status == http.StatusServiceUnavailable
	}, 10*time.Second, time.Millisecond)
	for range 3 {
		require.True(t, ask().Close, "and ended now, the one from before and new ones")
	}
	status, _ := get(t, "http://"+a.admin+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, a.wait(t))
}

func TestShutdownEndsWithItsGrace(t *testing.T) {
	t.Parallel()
	base := dbtest.New(t)
	key := issueKey(t, base.URL)
	c := settings(base.URL)
	c.API.ShutdownGrace = 200 * time.Millisecond
	a := start(t, c)
	release := block(t, base)
	defer release()
	go get(t, "http://"+a.api+"/v1/business", key) // gets no answer
	waitBlocked(t, base)
	a.stop()
	require.NoError(t, a.wait(t))
	require.Contains(t, a.log.String(), "cut off")
}

// block holds every request that reads a business until release is called.
func block(t *testing.T, base *dbtest.Database) (release func()) {
	t.Helper()
	tx, err := base.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE businesses IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(context.Background())) }
}

func waitBlocked(t *testing.T, base *dbtest.Database) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		err := base.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'txn-api' AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting > 0
	}, 10*time.Second, 5*time.Millisecond)
}
