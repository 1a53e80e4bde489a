package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
)

// A breaker cools off for 15 s at first: what happens within 10 s was not waited for.
const soon = 10 * time.Second

// tripped is an endpoint that answers 500, with its breaker open and three
// deliveries that have not been tried.
func tripped(t *testing.T, api *apitest.API) (receiver *endpoint, id string) {
	t.Helper()
	receiver = newEndpoint(t)
	receiver.status.Store(http.StatusInternalServerError)
	id, _ = createWebhook(t, api, receiver.URL, `,"max_concurrency":1`)
	for range 8 {
		openAccount(t, api, 0)
	}
	dispatchFor(t, api, time.Hour)
	require.Eventually(t, func() bool { return healthOf(t, api, id)["breaker"] == "open" }, 20*time.Second, 10*time.Millisecond)
	require.Len(t, receiver.received(), 5)
	return receiver, id
}

func TestHealthTellsThatABreakerIsOpen(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	_, id := tripped(t, api)
	health := healthOf(t, api, id)
	require.NotNil(t, health["blocked_until"])
	require.NotNil(t, health["failing_since"])
	require.InDelta(t, 0, health["success_rate"], 0)
	require.InDelta(t, 8, health["pending_count"], 0)
	oldest, err := time.Parse(time.RFC3339Nano, health["oldest_pending_at"].(string))
	require.NoError(t, err)
	first := api.Do(t, "GET", "/v1/webhook-deliveries", nil).JSON(t)["data"].([]any)[7].(map[string]any)
	created, err := time.Parse(time.RFC3339Nano, first["created_at"].(string))
	require.NoError(t, err)
	require.Equal(t, created, oldest)
	list := api.Do(t, "GET", "/v1/webhooks", nil).JSON(t)["data"].([]any)
	require.NotContains(t, list[0], "health")
}

func TestAnotherURLLiftsTheBlock(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	_, id := tripped(t, api)
	mended := newEndpoint(t)
	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"url":"`+mended.URL+`"}`).Require(t, http.StatusOK)
	require.Eventually(t, func() bool { return len(mended.received()) == 3 }, soon, 10*time.Millisecond)
	require.Equal(t, "closed", healthOf(t, api, id)["breaker"])
	require.Eventually(t, func() bool { return healthOf(t, api, id)["success_rate"] == 0.375 }, soon, 20*time.Millisecond, "3 of 8")
}

func TestActivatingAnActiveEndpointLiftsTheBlock(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	receiver, id := tripped(t, api)
	receiver.status.Store(http.StatusOK)
	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"description":"still broken"}`).Require(t, http.StatusOK)
	require.Equal(t, "open", healthOf(t, api, id)["breaker"], "other changes lift nothing")
	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"status":"active"}`).Require(t, http.StatusOK)
	require.Eventually(t, func() bool { return len(receiver.received()) == 8 }, soon, 10*time.Millisecond)
}

func TestATestIsTheProbeOfAnOpenBreaker(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	receiver, id := tripped(t, api)
	receiver.status.Store(http.StatusOK)
	tested := api.Do(t, "POST", "/v1/webhooks/"+id+"/test", nil).Require(t, http.StatusOK)
	require.Equal(t, "delivered", tested.String(t, "status"))
	var sixth struct{ Type string }
	require.NoError(t, json.Unmarshal(receiver.received()[5].body, &sixth))
	require.Equal(t, "webhook.test", sixth.Type, "it went ahead of what was pending")
	require.Eventually(t, func() bool { return len(receiver.received()) == 9 }, soon, 10*time.Millisecond, "and closed the breaker")
}

// What fails at the former URL after the change says nothing about the new one.
func TestFailuresOfTheFormerURLDoNotBlockTheNewOne(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	hanging := make(chan struct{}, 16)
	release := make(chan struct{})
	blackHole := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		hanging <- struct{}{}
		<-release
	}))
	t.Cleanup(blackHole.Close)
	t.Cleanup(func() { close(release) })
	mended := newEndpoint(t)
	id, _ := createWebhook(t, api, blackHole.URL, `,"max_concurrency":8`)
	for range 8 {
		openAccount(t, api, 0)
	}
	dispatchFor(t, api, time.Hour)
	for range 8 {
		<-hanging
	}
	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"url":"`+mended.URL+`","max_concurrency":16}`).Require(t, http.StatusOK)
	openAccount(t, api, 0)
	require.Eventually(t, func() bool { return len(mended.received()) == 1 }, soon, 10*time.Millisecond)
	require.Eventually(t, func() bool { // the eight time out, and on a machine that stalls the ninth may too
		var n int
		err := api.DB.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_attempts WHERE error IS NOT NULL`).Scan(&n)
		return err == nil && n >= 8
	}, soon, 10*time.Millisecond)
	openAccount(t, api, 0)
	require.Eventually(t, func() bool { return len(mended.received()) == 2 }, soon, 10*time.Millisecond)
	require.Equal(t, "closed", healthOf(t, api, id)["breaker"])
}
