package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/txn-service/txn/cmd/txnctl/bench"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dbtest.IgnoreServers()) }

func options(url, key string) bench.Options {
	return bench.Options{
		URL: url, Key: key, Connections: 4, Duration: 300 * time.Millisecond, Accounts: 5, Funds: 1_000_000, Mode: bench.Uniform,
		BatchSize: 10, Live: func(bench.Snapshot) {}, Say: func(string, ...any) {},
	}
}

func TestEveryModeKeepsTheBooks(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	var before int64
	for _, mode := range bench.Modes() {
		o := options(api.URL, api.Key)
		o.Mode = mode
		result, err := bench.Run(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, result.Failed())
		require.Equal(t, bench.Verification{
			Status: bench.VerificationOK, Detail: "every balance is what was acknowledged", Credited: 5_000_000, Balances: 5_000_000,
		}, result.Verification)
		require.Equal(t, result.Requests, result.Succeeded)
		var movements int64
		require.NoError(t, api.DB.Gorm.Raw(`SELECT count(*) FROM transactions WHERE type = 'transfer'`).Scan(&movements).Error)
		require.Equal(t, movements-before, result.Movements, "what the service knows of it")
		before = movements
		l := result.Latency
		require.True(t, 0 < l.P50 && l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.P999 && l.P999 <= l.Max, "%+v", l)
	}
}

// between is a proxy in front of an API.
func between(t *testing.T, api *apitest.API, handle func(forward http.Handler, w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	target, err := url.Parse(api.URL)
	require.NoError(t, err)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(forward, w, r) }))
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	return server.URL
}

func isTransfer(r *http.Request) bool { return r.URL.Path == "/v1/transactions" }

// TestAnswersThatGetLost: what became of those requests is found out at the end,
// and nothing happens twice.
func TestAnswersThatGetLost(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	var transfers atomic.Int64
	lossy := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
		if n := transfers.Add(1); isTransfer(r) && n%5 == 0 {
			forward.ServeHTTP(httptest.NewRecorder(), r)
			if n%10 == 0 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			panic(http.ErrAbortHandler) // the connection breaks
		}
		forward.ServeHTTP(w, r)
	})
	o := options(lossy, api.Key)
	o.Duration = time.Second
	result, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.Positive(t, result.Errors["Bad Gateway"])
	require.Positive(t, result.Errors["connection"])
	require.Equal(t, bench.VerificationOK, result.Verification.Status, result.Verification.Detail)
	require.Equal(t, "every balance is what was acknowledged", result.Verification.Detail)
}

// TestAnswersThatLie: a service that acknowledges what it has not done is found
// out.
func TestAnswersThatLie(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	var lied atomic.Bool
	liar := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
		if isTransfer(r) && !lied.Swap(true) {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":"txn_none"}`)
			return
		}
		forward.ServeHTTP(w, r)
	})
	result, err := bench.Run(t.Context(), options(liar, api.Key))
	require.NoError(t, err)
	require.Equal(t, bench.VerificationFailed, result.Verification.Status)
	require.ErrorContains(t, result.Failed(), "instead of")
}

func TestALimitIsCountedAndExplained(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{PerIP: "7-S"}) // enough to begin with
	o := options(api.URL, api.Key)
	o.Duration = 2 * time.Second
	result, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.Positive(t, result.Errors["rate_limited"])
	require.Contains(t, result.Notes[0], "raise rate_limit.per_ip")
	require.Equal(t, bench.VerificationOK, result.Verification.Status, "it waits until it may ask: %s", result.Verification.Detail)
}

func TestOthersAccountsAreNeitherFundedNorJudged(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	o := options(api.URL, api.Key)
	o.Funds = 0
	for range 2 {
		o.AccountIDs = append(o.AccountIDs, api.Do(t, http.MethodPost, "/v1/accounts", `{"name":"Main","overdraft_limit":1000000}`).String(t, "id"))
	}
	result, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.Positive(t, result.Movements)
	require.Equal(t, bench.VerificationSkipped, result.Verification.Status)
	require.Empty(t, result.Notes, "no account stays behind")
	var credits int64
	require.NoError(t, api.DB.Gorm.Raw(`SELECT count(*) FROM transactions WHERE type = 'credit'`).Scan(&credits).Error)
	require.Zero(t, credits)
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	ctx, interrupt := context.WithCancel(t.Context())
	o := options(api.URL, api.Key)
	o.Duration = time.Hour
	o.Live = func(s bench.Snapshot) {
		if s.Rate > 0 {
			interrupt()
		}
	}
	result, err := bench.Run(ctx, o)
	require.NoError(t, err)
	require.True(t, result.Interrupted)
	require.Positive(t, result.Movements)
	require.Equal(t, bench.VerificationOK, result.Verification.Status, "what was in flight is awaited: %s", result.Verification.Detail)
	require.Empty(t, result.Errors)
}

// stalling answers at once, but for one pause in which it answers nobody.
func stalling(t *testing.T, after, pause time.Duration) string {
	t.Helper()
	began := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if since := time.Since(began); since > after && since < after+pause {
			time.Sleep(after + pause - since)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestAStallShowsInFull: with a rate, latencies count from when a request was due.
// Half of the requests were due during the pause, though only a few were sent.
func TestAStallShowsInFull(t *testing.T) {
	t.Parallel()
	o := options(stalling(t, 500*time.Millisecond, time.Second), "txn_key")
	o.AccountIDs, o.Duration, o.Rate = []string{"acct_a", "acct_b"}, 2*time.Second, 100
	o.Funds = 0
	result, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.InDelta(t, 200, result.Requests+result.Unsent, 20)
	require.Greater(t, result.Latency.P90, 400.)

	o.URL, o.Rate = stalling(t, 500*time.Millisecond, time.Second), 0
	closed, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.Less(t, closed.Latency.P90, 100., "without one, the pause is four requests among many")
}

func TestARateThatIsNotKept(t *testing.T) {
	t.Parallel()
	o := options(stalling(t, 100*time.Millisecond, 300*time.Millisecond), "txn_key")
	o.AccountIDs, o.Funds, o.Rate, o.Duration = []string{"acct_a", "acct_b"}, 0, 100, 350*time.Millisecond
	result, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.Positive(t, result.Unsent)
	require.Contains(t, result.Notes[0], "found no free connection")
}

func TestNothingSucceeds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	o := options(server.URL, "txn_key")
	_, err := bench.Run(t.Context(), o)
	require.ErrorContains(t, err, "404")
	o.AccountIDs, o.Funds = []string{"acct_a", "acct_b"}, 0
	result, err := bench.Run(t.Context(), o)
	require.NoError(t, err)
	require.EqualError(t, result.Failed(), "no request succeeded")
	require.Positive(t, result.Errors["Not Found"])
}
