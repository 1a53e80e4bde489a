package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func TestTestingAWebhook(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	receiver, other := newEndpoint(t), newEndpoint(t)
	id, secret := createWebhook(t, api, receiver.URL, `,"event_types":["hold.created"]`)
	createWebhook(t, api, other.URL, "")
	dispatchFor(t, api, time.Hour)

	path, key := "/v1/webhooks/"+id+"/test", apitest.IdempotencyKey("test-1")
	tested := api.Do(t, "POST", path, nil, key).Require(t, http.StatusOK)
	delivery := tested.JSON(t)
	require.Equal(t, "delivered", delivery["status"])
	require.Equal(t, "webhook.test", delivery["event_type"])
	require.Equal(t, id, delivery["webhook_id"])
	attempts := delivery["attempts"].([]any)
	require.Len(t, attempts, 1)
	require.InDelta(t, 200, attempts[0].(map[string]any)["status_code"], 0)
	require.Equal(t, "seen", attempts[0].(map[string]any)["response_body"])
	require.Equal(t, delivery, api.Do(t, "GET", "/v1/webhook-deliveries/"+delivery["id"].(string), nil).JSON(t))

	receipts := receiver.received()
	require.Len(t, receipts, 1)
	require.True(t, verifies(t, secret, receipts[0]))
	var body map[string]any
	require.NoError(t, json.Unmarshal(receipts[0].body, &body))
	require.Equal(t, "webhook.test", body["type"])
	require.Equal(t, delivery["event_id"], body["id"])
	require.Equal(t, id, body["data"].(map[string]any)["id"])
	require.Equal(t, receiver.URL, body["data"].(map[string]any)["url"])

	again := api.Do(t, "POST", path, nil, key).Require(t, http.StatusOK)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, delivery, again.JSON(t))
	require.Len(t, receiver.received(), 1)

	receiver.status.Store(http.StatusTeapot)
	failed := api.Do(t, "POST", path, `{}`).Require(t, http.StatusOK).JSON(t)
	require.Equal(t, "pending", failed["status"], "it is retried like any other")
	require.NotNil(t, failed["next_attempt_at"])
	require.Len(t, failed["attempts"], 1)

	// Whatever the other endpoint gets, a test is not among it.
	openAccount(t, api, 0)
	require.Eventually(t, func() bool { return len(other.received()) > 0 }, 10*time.Second, 10*time.Millisecond)
	for _, r := range other.received() {
		require.NotContains(t, string(r.body), "webhook.test")
	}
	require.Eventually(t, func() bool { return healthOf(t, api, id)["success_rate"] == 0.5 }, 10*time.Second, 20*time.Millisecond)
}

func TestTestingAWebhookThatGetsNothing(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, _ := createWebhook(t, api, "https://example.com/", "")
	path := "/v1/webhooks/" + id + "/test"
	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"status":"paused"}`).Require(t, http.StatusOK)
	paused := api.Do(t, "POST", path, nil).Require(t, http.StatusOK).JSON(t)
	require.Equal(t, "pending", paused["status"])
	require.Empty(t, paused["attempts"])
	var dueAgain bool
	require.NoError(t, api.DB.Pool.QueryRow(t.Context(), `SELECT due_at < 'infinity' FROM webhook_lanes`).Scan(&dueAgain))
	require.False(t, dueAgain, "a test resumes nothing")

	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"status":"disabled"}`).Require(t, http.StatusOK)
	api.Do(t, "POST", path, nil).RequireProblem(t, http.StatusConflict, errs.InvalidState)
	api.Do(t, "POST", path, nil, apitest.IdempotencyKey("")).RequireProblem(t, http.StatusBadRequest, errs.IdempotencyKeyMissing)
	api.Do(t, "POST", path, `{"x":1}`).RequireProblem(t, http.StatusBadRequest, errs.InvalidRequest)
	api.Do(t, "POST", path, nil, apitest.Key(api.NewTenant(t).Key)).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	api.Do(t, "POST", "/v1/webhooks/"+models.NewID[models.WebhookPrefix]().String()+"/test", nil).
		RequireProblem(t, http.StatusNotFound, errs.NotFound)
	api.Do(t, "DELETE", "/v1/webhooks/"+id, nil).Require(t, http.StatusNoContent)
	api.Do(t, "POST", path, nil).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	var events int
	require.NoError(t, api.DB.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_events WHERE type = 'webhook.test'`).Scan(&events))
	require.Equal(t, 1, events, "what is refused leaves nothing behind")
}

// Nothing sends here: tests wait until the server drains.
func TestWaitingTestsHoldNoConnection(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, _ := createWebhook(t, api, "https://example.com/", "")
	const waiting = 12 // more than a business may
	answers := make(chan *apitest.Response, waiting)
	for range waiting {
		go func() {
			res, err := api.Try(t, "POST", "/v1/webhooks/"+id+"/test", nil)
			if err != nil {
				t.Error(err)
			}
			answers <- res
		}()
	}
	require.Eventually(t, func() bool { return len(answers) == waiting-8 }, 9*time.Second, 5*time.Millisecond, "only so many wait")
	idle := 0
	require.Eventually(t, func() bool {
		if idle++; api.DB.Pool.Stat().AcquiredConns() > 0 {
			idle = 0
		}
		return idle == 5
	}, 5*time.Second, 5*time.Millisecond)
	api.Handler().Drain()
	for range waiting {
		res := <-answers
		res.Require(t, http.StatusOK)
		require.Equal(t, "pending", res.String(t, "status"))
	}
}

func TestACallerWhoHangsUpEndsItsWait(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, _ := createWebhook(t, api, newEndpoint(t).URL, "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := api.Try(t, "POST", "/v1/webhooks/"+id+"/test", nil, apitest.IdempotencyKey("hang-up"), apitest.Context(ctx))
		done <- err
	}()
	require.Eventually(t, func() bool {
		var n int
		err := api.DB.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries`).Scan(&n)
		return err == nil && n == 1
	}, 9*time.Second, 5*time.Millisecond)
	cancel()
	require.Error(t, <-done)
	dispatchFor(t, api)
	res := api.Do(t, "POST", "/v1/webhooks/"+id+"/test", nil, apitest.IdempotencyKey("hang-up")).Require(t, http.StatusOK)
	require.Len(t, res.JSON(t)["attempts"], 1)
}
