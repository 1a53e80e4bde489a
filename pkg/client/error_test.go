package client_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/client"
)

func TestErrorsTellAll(t *testing.T) {
	t.Parallel()
	c := judged(t, apitest.New(t))
	var response client.Response
	_, err := c.Accounts.Create(t.Context(), client.NewAccount{Currency: "money"}, client.WithResponse(&response))
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusUnprocessableEntity, refusal.Status)
	require.Equal(t, client.CodeValidationFailed, refusal.Code)
	require.Equal(t, response.RequestID, refusal.RequestID)
	require.NotEmpty(t, refusal.RequestID)
	require.False(t, refusal.Retryable)
	require.Len(t, refusal.Fields, 2)
	require.Equal(t, []string{"name", "currency"}, []string{refusal.Fields[0].Field, refusal.Fields[1].Field})
	require.NotEmpty(t, refusal.Title)
	require.ErrorContains(t, err, "POST /v1/accounts: 422 validation_failed: name:")
	require.Nil(t, refusal.Index)
	require.True(t, client.IsCode(err, client.CodeNotFound, client.CodeValidationFailed))
	require.False(t, client.IsCode(err, client.CodeNotFound))
	require.False(t, client.IsCode(nil, client.CodeNotFound))
}

// TestWhatIsNoAPI: something in between answered, or no txn at all.
func TestWhatIsNoAPI(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"code":"rate_limited","detail":"too many"}`: "GET /v1/business: 429 rate_limited: too many",
		`<html>`: "GET /v1/business: 429 Too Many Requests: <html>",
		``:       "GET /v1/business: 429 Too Many Requests",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(answer))
		}))
		t.Cleanup(server.Close)
		_, err := connect(t, server.URL, "txn_key", client.WithRetries(0)).Business.Get(t.Context())
		var refusal *client.Error
		require.ErrorAs(t, err, &refusal)
		require.EqualError(t, err, want)
		require.Equal(t, 7*time.Second, refusal.RetryAfter)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(server.Close)
	_, err := connect(t, server.URL, "txn_key").Business.Get(t.Context())
	require.ErrorContains(t, err, "GET /v1/business: reading the answer")
}

// TestTheKeyGoesNowhereElse: an API that redirects is none.
func TestTheKeyGoesNowhereElse(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	c := connect(t, server.URL, "txn_key")
	_, err := c.Business.Get(t.Context())
	require.ErrorContains(t, err, "307")
	_, err = c.Accounts.Create(t.Context(), client.NewAccount{Name: "x"})
	require.ErrorContains(t, err, "307")
	require.EqualValues(t, 2, asked.Load())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for address, key := range map[string]string{
		"localhost:8080": "txn_key", "ftp://x": "txn_key", "http://": "txn_key", "http://a/?b=c": "txn_key", "http://u:p@a": "txn_key",
		"http://a": "", "http://b": "txn_key\n", "\x00": "txn_key",
	} {
		_, err := client.New(address, key)
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "txn_key")
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	require.NoError(t, connect(t, api.URL+"/", "txn_nobody").Ready(t.Context()))
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"draining"}`))
	}))
	t.Cleanup(server.Close)
	require.ErrorContains(t, connect(t, server.URL, "txn_key").Ready(t.Context()), "draining")
	require.EqualValues(t, 1, asked.Load(), "it asks once")
}
