package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "GET", "/health", nil, apitest.Key("")).Require(t, http.StatusOK)
	require.JSONEq(t, `{"status":"ok","components":{
		"postgres":{"status":"ok"},"redis":{"status":"off"},"schema":{"status":"ok"}}}`, string(res.Body))
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		res := api.Do(t, "HEAD", path, nil, apitest.Key("")).Require(t, http.StatusOK)
		require.Empty(t, res.Body)
		require.NotEmpty(t, res.Header.Get("X-Request-Id"))
		api.Do(t, "GET", path, nil, apitest.Key("")).Require(t, http.StatusOK)
	}
	api.Handler().Drain()
	require.Equal(t, "draining", api.Do(t, "GET", "/readyz", nil).Require(t, http.StatusServiceUnavailable).String(t, "status"))
	api.Do(t, "GET", "/livez", nil).Require(t, http.StatusOK)
	api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK)
}

func TestAnOldSchemaIsNotReady(t *testing.T) {
	t.Parallel()
	base := dbtest.New(t)
	api := apitest.New(t, apitest.Options{DatabaseURL: base.URL})
	base.Exec(t, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	var res *apitest.Response
	require.Eventually(t, func() bool {
		res = api.Do(t, "GET", "/readyz", nil)
		return res.Status == http.StatusServiceUnavailable
	}, 5*time.Second, 20*time.Millisecond)
	require.Contains(t, res.String(t, "message"), "txnctl migrate up")
	res = api.Do(t, "GET", "/health", nil).Require(t, http.StatusServiceUnavailable)
	require.Contains(t, string(res.Body), `"schema":{"status":"too_old"`)
	require.Contains(t, string(res.Body), `"postgres":{"status":"ok"}`)
}

// TestDatabaseOutage: every answer during an outage is a retryable 503, nothing
// of the reason gets out, and the service recovers by itself.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	base := dbtest.NewOn(t, server)
	api := apitest.New(t, apitest.Options{DatabaseURL: base.URL})
	account := api.Do(t, "POST", "/v1/accounts", `{"name":"Main"}`).Require(t, http.StatusCreated).String(t, "id")

	require.NoError(t, server.StopImmediate(t.Context()))
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/v1/business", ""},
		{"GET", "/v1/accounts", ""},
		{"POST", "/v1/accounts", `{"name":"More"}`},
		{"POST", "/v1/transactions", `{"type":"credit","amount":1,"destination_account_id":"` + account + `"}`},
	} {
		var body any
		if call.body != "" {
			body = call.body
		}
		res := api.Do(t, call.method, call.path, body)
		res.RequireProblem(t, http.StatusServiceUnavailable, errs.Unavailable)
		require.NotContains(t, string(res.Body), "127.0.0.1")
		require.NotContains(t, string(res.Body), "postgres")
	}
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/health", nil).Status == http.StatusServiceUnavailable
	}, 5*time.Second, 20*time.Millisecond)
	health := api.Do(t, "GET", "/health", nil)
	require.Contains(t, string(health.Body), `"postgres":{"status":"down"}`)
	require.NotContains(t, string(health.Body), "127.0.0.1")
	api.Do(t, "GET", "/readyz", nil).Require(t, http.StatusServiceUnavailable)
	api.Do(t, "GET", "/livez", nil).Require(t, http.StatusOK)
	api.Do(t, "GET", "/v1/nothing", nil).RequireProblem(t, http.StatusNotFound, errs.NotFound)

	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/v1/business", nil).Status == http.StatusOK &&
			api.Do(t, "GET", "/readyz", nil).Status == http.StatusOK
	}, 20*time.Second, 100*time.Millisecond, "recovers without a restart")
	api.Do(t, "POST", "/v1/transactions", `{"type":"credit","amount":1,"destination_account_id":"`+account+`"}`).
		Require(t, http.StatusCreated)
}
