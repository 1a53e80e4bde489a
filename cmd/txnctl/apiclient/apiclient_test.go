package apiclient_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/cmd/txnctl/apiclient"
)

func serve(t *testing.T, handler http.HandlerFunc) *apiclient.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client := apiclient.New(server.URL+"/", "txn_key", 2)
	t.Cleanup(client.Close)
	return client
}

func TestDoSendsAndReads(t *testing.T) {
	t.Parallel()
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Idempotent-Replayed", "true")
		fmt.Fprintf(w, `{"seen":"%s %s %s %s"}`, r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"))
	})
	var answer struct{ Seen string }
	replayed, err := client.Do(t.Context(), http.MethodPost, "/v1/transactions", "k1", map[string]any{"amount": 1}, &answer)
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, "POST /v1/transactions Bearer txn_key k1", answer.Seen)
}

func TestRefusalsAreProblems(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"code":"rate_limited","detail":"too many"}`: "GET /x: 429 rate_limited: too many",
		`<html>`: "GET /x: 429 Too Many Requests: <html>",
		``:       "GET /x: 429 Too Many Requests",
	} {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, answer)
		})
		err := client.Get(t.Context(), "/x", nil)
		var problem *apiclient.RefusedError
		require.ErrorAs(t, err, &problem)
		require.EqualError(t, err, want)
		require.Equal(t, 7*time.Second, problem.RetryAfter)
	}
}

// TestTheKeyGoesNowhereElse: an API that redirects is none.
func TestTheKeyGoesNowhereElse(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	require.ErrorContains(t, client.Get(t.Context(), "/x", nil), "307")
	require.EqualValues(t, 1, asked.Load())
}

func TestAwaitReady(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 || r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	require.NoError(t, client.AwaitReady(t.Context()))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, client.AwaitReady(ended), "the API did not become ready")
}
