package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/client"
)

func credit(account *client.Account, amount int64) client.NewTransaction {
	return client.NewTransaction{Type: client.TransactionTypeCredit, Amount: amount, DestinationAccountID: account.ID}
}

// TestLostAnswers: a request that was executed and whose answer was lost is sent again
// under the key that it had, made or given, and moves nothing twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	account := open(t, judged(t, api), "Main", 0)
	for name, lose := range map[string]func(w http.ResponseWriter){
		"a broken connection": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"id":`))
		},
		"a proxy that gives up": func(w http.ResponseWriter) { w.WriteHeader(http.StatusGatewayTimeout) },
	} {
		var requests atomic.Int64
		lossy := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) < 3 {
				forward.ServeHTTP(httptest.NewRecorder(), r)
				lose(w)
				return
			}
			forward.ServeHTTP(w, r)
		})
		c := connect(t, lossy, api.Key)
		for _, options := range [][]client.CallOption{nil, {client.WithIdempotencyKey(apitest.NewKey())}} {
			requests.Store(0)
			var response client.Response
			made, err := c.Transactions.Create(t.Context(), credit(account, 1), append(options, client.WithResponse(&response))...)
			require.NoError(t, err, name)
			require.True(t, response.Replayed, name)
			require.EqualValues(t, 3, requests.Load(), name)
			require.GreaterOrEqual(t, response.Tries, 2, "%s: net/http may have repeated one", name)
			require.Equal(t, response.IdempotencyKey, made.IdempotencyKey, name)
		}
	}
	now, err := judged(t, api).Accounts.Get(t.Context(), account.ID)
	require.NoError(t, err)
	require.EqualValues(t, 6, now.Balance)
}

// TestKeysAreOnesOwn: what is not a retry gets another key.
func TestKeysAreOnesOwn(t *testing.T) {
	t.Parallel()
	c := judged(t, apitest.New(t))
	account := open(t, c, "Main", 0)
	first, err := c.Transactions.Create(t.Context(), credit(account, 1))
	require.NoError(t, err)
	second, err := c.Transactions.Create(t.Context(), credit(account, 1))
	require.NoError(t, err)
	require.NotEqual(t, first.IdempotencyKey, second.IdempotencyKey)
	require.GreaterOrEqual(t, len(first.IdempotencyKey), 26, "130 random bits")

	own := credit(account, 1)
	own.IdempotencyKey = "topup-1"
	third, err := c.Transactions.Create(t.Context(), own)
	require.NoError(t, err)
	again, err := c.Transactions.Create(t.Context(), own)
	require.NoError(t, err)
	require.Equal(t, third, again)
	own.Amount = 2
	_, err = c.Transactions.Create(t.Context(), own)
	require.True(t, client.IsCode(err, client.CodeIdempotencyKeyReused), err)
	_, err = c.Transactions.Create(t.Context(), credit(account, 1), client.WithIdempotencyKey("a\nb"))
	require.ErrorContains(t, err, "printable")
}

// TestTheLimiterIsWaitedFor: 429 is retried after as long as it says, and not before.
func TestTheLimiterIsWaitedFor(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{PerIP: "2-S"})
	c := judged(t, api)
	var tries, waited int
	began := time.Now()
	for range 5 {
		var response client.Response
		_, err := c.Business.Get(t.Context(), client.WithResponse(&response))
		require.NoError(t, err)
		if tries += response.Tries; response.Tries > 1 {
			waited++
		}
	}
	require.Positive(t, waited)
	require.Less(t, tries, 12, "it waited instead of asking again and again")
	require.Greater(t, time.Since(began), time.Second)
}

// refusing answers everything with a problem document.
func refusing(t *testing.T, status int, code client.Code, retryable bool, retryAfter string) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":%d,"code":%q,"request_id":"req_1","retryable":%t}`, status, code, retryable)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func TestWhatIsRetried(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status    int
		code      client.Code
		retryable bool
		requests  int64
	}{
		{http.StatusServiceUnavailable, client.CodeUnavailable, true, 4},
		{http.StatusTooManyRequests, client.CodeRateLimited, true, 4},
		{http.StatusConflict, client.CodeIdempotencyInProgress, true, 4},
		{http.StatusConflict, client.CodeInvalidState, false, 1},
		{http.StatusUnprocessableEntity, client.CodeInsufficientFunds, false, 1},
		{http.StatusInternalServerError, client.CodeInternal, false, 1},
	} {
		url, requests := refusing(t, c.status, c.code, c.retryable, "")
		api := connect(t, url, "txn_key", client.WithRetries(3))
		_, err := api.Holds.Void(t.Context(), "hold_1")
		require.True(t, client.IsCode(err, c.code), err)
		require.Equal(t, c.requests, requests.Load(), c.code)
		requests.Store(0)
		_, err = api.Accounts.Update(t.Context(), "acct_1", client.AccountChange{Name: "x"})
		require.True(t, client.IsCode(err, c.code), err)
		require.Equal(t, c.requests, requests.Load(), "PATCH %s", c.code)
	}
}

// TestWaitsEnd: with ctx, and where they would be longer than the caller has time for.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	url, requests := refusing(t, http.StatusServiceUnavailable, client.CodeUnavailable, true, "3600")
	_, err := connect(t, url, "txn_key").Business.Get(t.Context())
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, time.Hour, refusal.RetryAfter)
	require.EqualValues(t, 1, requests.Load(), "an hour is more than a minute")

	hurried, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = connect(t, url, "txn_key", client.WithMaxWait(2*time.Hour)).Business.Get(hurried)
	require.True(t, client.IsCode(err, client.CodeUnavailable), err)
	require.EqualValues(t, 2, requests.Load(), "an hour is more than ctx has")

	patient, interrupt := context.WithCancel(t.Context())
	waiting := connect(t, url, "txn_key", client.WithMaxWait(2*time.Hour))
	ended := make(chan error, 1)
	go func() {
		_, err := waiting.Business.Get(patient)
		ended <- err
	}()
	require.Eventually(t, func() bool { return requests.Load() == 3 }, 10*time.Second, time.Millisecond)
	interrupt()
	require.Error(t, <-ended)
	require.EqualValues(t, 3, requests.Load())
}

// TestASlowTryIsAnotherTry: each has its own time.
func TestASlowTryIsAnotherTry(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	var requests atomic.Int64
	slow := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		forward.ServeHTTP(w, r)
	})
	_, err := connect(t, slow, api.Key, client.WithTimeout(time.Second)).Business.Get(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, requests.Load())
}

// TestOnce: without retries nothing goes out twice, though net/http would send what has
// an idempotency key again by itself when a connection that it kept breaks.
func TestOnce(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	var broken, requests atomic.Int64
	breaking := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if broken.Load() != 0 {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	})
	c := connect(t, breaking, api.Key, client.WithRetries(0))
	account := open(t, c, "Main", 0) // and a connection is kept
	broken.Store(1)
	for name, call := range map[string]func() error{
		"with a body":    func() error { _, err := c.Transactions.Create(t.Context(), credit(account, 1)); return err },
		"without a body": func() error { _, err := c.Holds.Void(t.Context(), "hold_1"); return err },
	} {
		broken.Store(0)
		_, err := c.Business.Get(t.Context())
		require.NoError(t, err)
		requests.Store(0)
		broken.Store(1)
		err = call()
		require.Error(t, err, name)
		var refusal *client.Error
		require.NotErrorAs(t, err, &refusal, name)
		require.EqualValues(t, 1, requests.Load(), name)
	}
}

// TestRemovingAgain: what an earlier try may have removed is not missed.
func TestRemovingAgain(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	webhook, err := judged(t, api).Webhooks.Create(t.Context(), client.NewWebhook{URL: "http://127.0.0.1:1/"})
	require.NoError(t, err)
	var requests atomic.Int64
	lossy := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	})
	c := connect(t, lossy, api.Key)
	require.NoError(t, c.Webhooks.Delete(t.Context(), webhook.ID))
	require.EqualValues(t, 2, requests.Load())
	err = c.Webhooks.Delete(t.Context(), webhook.ID)
	require.True(t, client.IsCode(err, client.CodeNotFound), err)
}
