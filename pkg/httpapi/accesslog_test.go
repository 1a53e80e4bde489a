package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
)

// lines returns the canonical lines of requests so far.
func lines(t *testing.T, api *apitest.API) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(api.Log()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		if fields["message"] == "request" {
			found = append(found, fields)
		}
	}
	return found
}

func TestOneLinePerRequest(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	api.Handler().Mount("GET", "/v1/fails/:id", "", func(*gin.Context) error { return errors.New("disk full") })
	api.Do(t, "GET", "/v1/business", nil)
	api.Do(t, "GET", "/v1/business?secret=hunter2", nil)
	api.Do(t, "GET", "/v1/hunter2", nil)
	api.Do(t, "GET", "/v1/fails/hunter2", nil)
	api.Do(t, "POST", "/v1/accounts", `{"name":"hunter2"}`, apitest.IdempotencyKey("hunter2"), apitest.Header("X-Hunter2", "hunter2"))
	api.Do(t, "GET", "/livez", nil)

	got := lines(t, api)
	require.Len(t, got, 6)
	first := got[0]
	require.Regexp(t, `^req_`, first["request_id"])
	require.InDelta(t, 50, first["duration_ms"], 50_000)
	require.NotEmpty(t, first["time"])
	for _, name := range []string{"request_id", "duration_ms", "time"} {
		delete(first, name)
	}
	keyID := first["key_id"]
	require.Regexp(t, `^key_`, keyID)
	require.Equal(t, map[string]any{
		"level": "info", "message": "request", "method": "GET", "route": "/v1/business", "status": 200.0,
		"client_ip": "127.0.0.1", "business_id": api.Business.String(), "key_id": keyID,
	}, first)

	require.Equal(t, "invalid_request", got[1]["code"])
	require.NotContains(t, got[1], "error", "a caller's mistake has no internal cause")
	require.Empty(t, got[2]["route"], "a path that is no route is not logged")
	require.Equal(t, "error", got[3]["level"])
	require.Equal(t, "internal", got[3]["code"])
	require.Equal(t, "disk full", got[3]["error"])
	require.Equal(t, "/v1/fails/:id", got[3]["route"])
	require.Equal(t, "debug", got[5]["level"], "probes")
	require.NotContains(t, api.Log(), "hunter2")
	require.NotContains(t, api.Log(), api.Key)
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	for _, path := range []string{"/v1/a", "/v1/b", "/c", "/v1/accounts/x", "/v1/accounts/y"} {
		api.Do(t, "GET", path, nil)
		api.Do(t, "HACK"+strings.ToUpper(path[1:2]), path, nil)
	}
	families, err := api.Metrics.Gather()
	require.NoError(t, err)
	routes, methods := map[string]bool{}, map[string]bool{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				switch label.GetName() {
				case "route":
					routes[label.GetValue()] = true
				case "method":
					methods[label.GetValue()] = true
				}
			}
		}
	}
	require.Equal(t, map[string]bool{"unmatched": true, "/v1/accounts/:id": true}, routes)
	require.Equal(t, map[string]bool{http.MethodGet: true, "OTHER": true}, methods)
}
