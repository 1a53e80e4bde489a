package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
)

// requireHeaders checks the three headers of a counted answer.
func requireHeaders(t *testing.T, res *apitest.Response, limit, remaining int) {
	t.Helper()
	require.Equal(t, strconv.Itoa(limit), res.Header.Get("X-RateLimit-Limit"))
	require.Equal(t, strconv.Itoa(remaining), res.Header.Get("X-RateLimit-Remaining"))
	reset, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
	require.NoError(t, err)
	require.WithinRange(t, time.Unix(reset, 0), time.Now().Add(-2*time.Second), time.Now().Add(time.Hour+time.Second))
}

func requireUncounted(t *testing.T, res *apitest.Response) {
	t.Helper()
	for name := range res.Header {
		require.NotContains(t, strings.ToLower(name), "ratelimit")
	}
}

// TestTwoServersCountTogether: 20 requests a minute per address, whichever
// replica they go to and whatever they ask for.
func TestTwoServersCountTogether(t *testing.T) {
	t.Parallel()
	redis := dbtest.Redis(t)
	one := apitest.New(t, apitest.Options{RedisURL: redis, PerIP: "20-H"})
	two := apitest.New(t, apitest.Options{RedisURL: redis, PerIP: "20-H", DatabaseURL: one.DatabaseURL})
	paths := []string{"/v1/business", "/v1/nothing", "/v1"}
	for i := range 20 {
		api := []*apitest.API{one, two}[i%2]
		key := []string{api.Key, "", "garbage"}[i%3]
		res := api.Do(t, "GET", paths[i%3], nil, apitest.Key(key))
		require.NotEqual(t, http.StatusTooManyRequests, res.Status, "request %d", i)
		requireHeaders(t, res, 20, 19-i)
	}
	for _, api := range []*apitest.API{one, two} {
		for _, path := range paths {
			res := api.Do(t, "GET", path, nil)
			res.RequireProblem(t, http.StatusTooManyRequests, errs.RateLimited)
			requireHeaders(t, res, 20, 0)
			wait, err := strconv.Atoi(res.Header.Get("Retry-After"))
			require.NoError(t, err)
			require.Positive(t, wait)
		}
		requireUncounted(t, api.Do(t, "GET", "/health", nil).Require(t, http.StatusOK))
		requireUncounted(t, api.Do(t, "GET", "/v1x", nil).Require(t, http.StatusNotFound))
	}
}

func TestConcurrentRequestsAreCountedExactly(t *testing.T) {
	t.Parallel()
	redis := dbtest.Redis(t)
	one := apitest.New(t, apitest.Options{RedisURL: redis, PerIP: "20-H"})
	two := apitest.New(t, apitest.Options{RedisURL: redis, PerIP: "20-H", DatabaseURL: one.DatabaseURL})
	var wait sync.WaitGroup
	statuses := make(chan int, 60)
	for i := range cap(statuses) {
		wait.Go(func() {
			res, err := []*apitest.API{one, two}[i%2].Try(t, "GET", "/v1/business", nil, apitest.Key(one.Key))
			if err != nil {
				statuses <- 0
				return
			}
			statuses <- res.Status
		})
	}
	wait.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 20, http.StatusTooManyRequests: 40}, counts)
}

func TestNoLimitNoHeaders(t *testing.T) {
	t.Parallel()
	for _, off := range []string{"", "0", "0-M"} {
		api := apitest.New(t, apitest.Options{PerIP: off, PerKey: off})
		for range 50 {
			requireUncounted(t, api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK))
		}
	}
}

func TestLimitPerKey(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{RedisURL: dbtest.Redis(t), PerIP: "1000-H", PerKey: "3-H"})
	for i := range 3 {
		requireHeaders(t, api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK), 3, 2-i)
	}
	api.Do(t, "GET", "/v1/business", nil).RequireProblem(t, http.StatusTooManyRequests, errs.RateLimited)
	other := api.IssueKey(t, api.Business)
	api.Do(t, "GET", "/v1/business", nil, apitest.Key(other)).Require(t, http.StatusOK)
	requireHeaders(t, api.Do(t, "GET", "/v1/business", nil, apitest.Key("")), 1000, 994)
}

// TestTheTighterLimitIsTold: of two limits, the headers tell the one that is
// nearer to its end.
func TestTheTighterLimitIsTold(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{PerIP: "5-H", PerKey: "100-H"})
	requireHeaders(t, api.Do(t, "GET", "/v1/business", nil), 5, 4)
}

// TestForgedAddresses: X-Forwarded-For from a peer that is no proxy is ignored;
// behind a proxy the entry that the proxy added counts.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	direct := apitest.New(t, apitest.Options{PerIP: "3-H"})
	for i := range 4 {
		forged := apitest.Header("X-Forwarded-For", "198.51.100."+strconv.Itoa(i))
		res := direct.Do(t, "GET", "/v1/business", nil, forged, apitest.Header("X-Real-Ip", "198.51.100."+strconv.Itoa(i)))
		require.Equal(t, i == 3, res.Status == http.StatusTooManyRequests)
	}
	proxied := apitest.New(t, apitest.Options{PerIP: "3-H", TrustedProxies: []string{"127.0.0.0/8", "::1"}})
	for i := range 4 {
		spoofed := "198.51.100." + strconv.Itoa(i)
		header := [][]string{{spoofed, "203.0.113.9"}, {spoofed + ", 203.0.113.9"}, {spoofed, "203.0.113.9:80"}, {"203.0.113.9"}}[i]
		res := proxied.Do(t, "GET", "/v1/business", nil, apitest.Header("X-Forwarded-For", header...))
		require.Equal(t, i == 3, res.Status == http.StatusTooManyRequests, "request %d", i)
	}
	proxied.Do(t, "GET", "/v1/business", nil, apitest.Header("X-Forwarded-For", "203.0.113.10")).Require(t, http.StatusOK)
	for i := range 4 {
		host := apitest.Header("X-Forwarded-For", "2001:db8:1:2::"+strconv.Itoa(i))
		res := proxied.Do(t, "GET", "/v1/business", nil, host)
		require.Equal(t, i == 3, res.Status == http.StatusTooManyRequests, "one /64 counts together")
	}
}

// TestRedisGoesAndComes: without Redis requests are counted in memory and
// answered without delay; when it is back, all replicas count together again.
func TestRedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := dbtest.RedisServer(t)
	api := apitest.New(t, apitest.Options{RedisURL: server.URL(), PerIP: "10-H"})
	for i := range 5 {
		requireHeaders(t, api.Do(t, "GET", "/v1/business", nil), 10, 9-i)
	}
	require.NoError(t, server.StopImmediate(t.Context()))
	begun := time.Now()
	for i := range 10 {
		requireHeaders(t, api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK), 10, 9-i)
	}
	api.Do(t, "GET", "/v1/business", nil).RequireProblem(t, http.StatusTooManyRequests, errs.RateLimited)
	require.Less(t, time.Since(begun), 2*time.Second, "an outage costs a request now and then a timeout")
	require.Equal(t, 1, strings.Count(api.Log(), "redis does not answer"), "one line per outage")

	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/v1/business", nil).Status == http.StatusOK
	}, 20*time.Second, 100*time.Millisecond, "the counters that Redis lost begin anew")
	require.Equal(t, 1, strings.Count(api.Log(), "redis answers again"))
}

func TestRedisIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	server := dbtest.RedisServer(t)
	require.NoError(t, server.StopImmediate(t.Context()))
	api := apitest.New(t, apitest.Options{RedisURL: server.URL(), PerIP: "3-H"})
	for i := range 4 {
		res := api.Do(t, "GET", "/v1/business", nil)
		require.Equal(t, i == 3, res.Status == http.StatusTooManyRequests)
	}
	health := api.Do(t, "GET", "/health", nil).Require(t, http.StatusOK)
	require.Equal(t, "degraded", health.String(t, "status"))
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/v1/business", nil).Status == http.StatusOK
	}, 20*time.Second, 100*time.Millisecond)
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/health", nil).String(t, "status") == "ok"
	}, 5*time.Second, 50*time.Millisecond)
}
