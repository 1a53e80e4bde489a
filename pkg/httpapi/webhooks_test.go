package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestWebhooksOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example.com/txn","event_types":["transaction.*"],
		"description":"main","max_concurrency":4,"rate_limit":50,"headers":{"X-Team":"payments"},"metadata":{"a":"b"}}`,
		apitest.IdempotencyKey("w-1"))
	res.Require(t, http.StatusCreated)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, res.String(t, "secret"))
	id := res.String(t, "id")
	again := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example.com/txn","event_types":["transaction.*"],
		"description":"main","max_concurrency":4,"rate_limit":50,"headers":{"X-Team":"payments"},"metadata":{"a":"b"}}`,
		apitest.IdempotencyKey("w-1"))
	again.Require(t, http.StatusCreated)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, id, again.String(t, "id"))
	require.NotContains(t, string(again.Body), "whsec_", "a repetition is answered without the secret")

	shown := api.Do(t, "GET", "/v1/webhooks/"+id, nil)
	shown.Require(t, http.StatusOK)
	require.NotContains(t, string(shown.Body), "secret")
	object := shown.JSON(t)
	require.Equal(t, "active", object["status"])
	require.Equal(t, []any{"transaction.*"}, object["event_types"])
	require.InDelta(t, 50, object["rate_limit"], 0)

	res = api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"status":"paused","rate_limit":null,"description":null,"event_types":["*"]}`)
	res.Require(t, http.StatusOK)
	object = res.JSON(t)
	require.Equal(t, "paused", object["status"])
	require.Nil(t, object["rate_limit"])
	require.Nil(t, object["description"])
	require.InDelta(t, 4, object["max_concurrency"], 0)

	list := api.Do(t, "GET", "/v1/webhooks?limit=1", nil)
	list.Require(t, http.StatusOK)
	require.Len(t, list.JSON(t)["data"], 1)
	require.Equal(t, false, list.JSON(t)["has_more"])

	api.Do(t, "DELETE", "/v1/webhooks/"+id, nil).Require(t, http.StatusNoContent)
	api.Do(t, "GET", "/v1/webhooks/"+id, nil).Require(t, http.StatusNotFound)
	api.Do(t, "DELETE", "/v1/webhooks/"+id, nil).Require(t, http.StatusNotFound)
	require.NotContains(t, api.Log(), "whsec_")
}

func TestWebhookErrors(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/"}`).Require(t, http.StatusCreated).String(t, "id")
	stranger := api.NewTenant(t)
	for _, test := range []struct {
		method, path, body string
		code               errs.Code
		options            []apitest.Option
	}{
		{"POST", "/v1/webhooks", `{"url":"https://example.com/"}`, errs.IdempotencyKeyMissing, []apitest.Option{apitest.IdempotencyKey("")}},
		{"POST", "/v1/webhooks", `{}`, errs.ValidationFailed, nil},
		{"POST", "/v1/webhooks", `{"url":"ftp://example.com/"}`, errs.ValidationFailed, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","event_types":[]}`, errs.ValidationFailed, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","event_types":["nope"]}`, errs.ValidationFailed, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","max_concurrency":0}`, errs.ValidationFailed, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","max_concurrency":1.5}`, errs.InvalidRequest, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","secret":"x"}`, errs.InvalidRequest, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","url":"https://example.com/"}`, errs.InvalidRequest, nil},
		{"POST", "/v1/webhooks", `{"url":7}`, errs.InvalidRequest, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","metadata":{"a":null}}`, errs.InvalidRequest, nil},
		{"POST", "/v1/webhooks", `{"url":"https://example.com/","headers":{"X-A":null}}`, errs.InvalidRequest, nil},
		{"PATCH", "/v1/webhooks/" + id, `{"metadata":{"a":null}}`, errs.InvalidRequest, nil},
		{"PATCH", "/v1/webhooks/" + id, `{"headers":{"X-A":null}}`, errs.InvalidRequest, nil},
		{"PATCH", "/v1/webhooks/" + id, `{"status":"gone"}`, errs.ValidationFailed, nil},
		{"PATCH", "/v1/webhooks/" + id, `{"url":null}`, errs.InvalidRequest, nil},
		{"PATCH", "/v1/webhooks/" + id, `{"headers":{"Host":"x"}}`, errs.ValidationFailed, nil},
		{"GET", "/v1/webhooks/" + id, "", errs.NotFound, []apitest.Option{apitest.Key(stranger.Key)}},
		{"PATCH", "/v1/webhooks/" + id, `{"url":"https://example.com/"}`, errs.NotFound, []apitest.Option{apitest.Key(stranger.Key)}},
		{"DELETE", "/v1/webhooks/" + id, "", errs.NotFound, []apitest.Option{apitest.Key(stranger.Key)}},
		{"GET", "/v1/webhooks/acct_01h455vb4pex5vsknk084sn02q", "", errs.NotFound, nil},
		{"GET", "/v1/webhooks?cursor=zzz", "", errs.InvalidRequest, nil},
		{"GET", "/v1/webhook-deliveries?status=lost", "", errs.InvalidRequest, nil},
		{"GET", "/v1/webhook-deliveries?webhook_id=acct_01h455vb4pex5vsknk084sn02q", "", errs.InvalidRequest, nil},
		{"GET", "/v1/webhook-deliveries?event_type=nope", "", errs.InvalidRequest, nil},
		{"GET", "/v1/webhook-deliveries/x", "", errs.NotFound, nil},
		{"GET", "/v1/webhook-events/x", "", errs.NotFound, nil},
		{"GET", "/v1/webhook-events?status=failed", "", errs.InvalidRequest, nil},
		{"PUT", "/v1/webhooks", `{}`, errs.MethodNotAllowed, nil},
	} {
		var body any
		if test.body != "" {
			body = test.body
		}
		res := api.Do(t, test.method, test.path, body, test.options...)
		require.Equal(t, string(test.code), res.String(t, "code"), "%s %s %s: %s", test.method, test.path, test.body, res.Body)
		require.Equal(t, statusOf[test.code], res.Status)
	}
	require.Len(t, api.Do(t, "GET", "/v1/webhooks", nil).JSON(t)["data"], 1)
}

// The all-zero id is well formed, so it is unknown like any other, and never taken
// for a filter or a selection that was left out.
func TestTheZeroIDNamesNothing(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	_, _ = createWebhook(t, api, "https://example.com/", "")
	openAccount(t, api, 0)
	dispatcher := outbox.NewDispatcher(api.DB)
	fanOut(t, dispatcher)
	attemptOne(t, dispatcher)
	endpoint, event, delivery := models.WebhookID{}.String(), models.EventID{}.String(), models.DeliveryID{}.String()
	known := api.Do(t, "GET", "/v1/webhook-events", nil).JSON(t)["data"].([]any)[0].(map[string]any)["id"].(string)
	for _, call := range [][3]string{
		{"GET", "/v1/webhook-deliveries?webhook_id=" + endpoint, ""},
		{"POST", "/v1/webhook-replays", `{"webhook_id":"` + endpoint + `"}`},
		{"POST", "/v1/webhook-events/" + known + "/replay", `{"webhook_id":"` + endpoint + `"}`},
		{"POST", "/v1/webhook-events/" + event + "/replay", `{}`},
		{"POST", "/v1/webhook-deliveries/" + delivery + "/replay", `{}`},
		{"POST", "/v1/webhooks/" + endpoint + "/replay", `{}`},
		{"GET", "/v1/webhooks/" + endpoint, ""},
		{"DELETE", "/v1/webhooks/" + endpoint, ""},
	} {
		var body any
		if call[2] != "" {
			body = call[2]
		}
		res := api.Do(t, call[0], call[1], body)
		require.Equal(t, http.StatusNotFound, res.Status, "%s %s: %s", call[0], call[1], res.Body)
	}
	require.Empty(t, api.Do(t, "GET", "/v1/webhook-replays", nil).JSON(t)["data"])
}

// What an endpoint's owner has sent along may be a credential, and so may the query
// of its URL: events go to other endpoints too.
func TestEventsDoNotShowTheCredentialsOfAnEndpoint(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, _ := createWebhook(t, api, "https://example.com/hook?token=hunter3", `,"headers":{"Authorization":"Bearer hunter2"}`)
	shown := string(api.Do(t, "GET", "/v1/webhooks/"+id, nil).Body)
	require.Contains(t, shown, "hunter2", "its owner sees them")
	require.Contains(t, shown, "hunter3")
	_, err := webhook.NewStore(webhook.Options{}).SendTest(api.DB.Gorm, api.Business, mustParse[models.WebhookPrefix](t, id))
	require.NoError(t, err)
	api.Do(t, "PATCH", "/v1/webhooks/"+id, `{"status":"disabled"}`).Require(t, http.StatusOK)
	events := api.Do(t, "GET", "/v1/webhook-events", nil).Require(t, http.StatusOK)
	require.Contains(t, string(events.Body), "webhook.test")
	require.Contains(t, string(events.Body), "webhook.disabled")
	require.Contains(t, string(events.Body), `"url":"https://example.com/hook"`)
	require.NotContains(t, string(events.Body), "headers")
	require.NotContains(t, string(events.Body), "hunter")
}

func mustParse[P models.Prefix](t *testing.T, text string) models.ID[P] {
	t.Helper()
	id, err := models.ParseID[P](text)
	require.NoError(t, err)
	return id
}

func TestEventsAndDeliveriesOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	hook := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/","event_types":["account.created"]}`).
		Require(t, http.StatusCreated).String(t, "id")
	for range 3 {
		openAccount(t, api, 0)
	}
	events := api.Do(t, "GET", "/v1/webhook-events?limit=2", nil).Require(t, http.StatusOK).JSON(t)
	require.Equal(t, true, events["has_more"])
	first := events["data"].([]any)[0].(map[string]any)
	require.Equal(t, "account.created", first["type"])
	one := api.Do(t, "GET", "/v1/webhook-events/"+first["id"].(string), nil).Require(t, http.StatusOK)
	require.Equal(t, first, one.JSON(t))
	require.Empty(t, api.Do(t, "GET", "/v1/webhook-events?event_type=hold.created", nil).JSON(t)["data"])

	dispatcher := outbox.NewDispatcher(api.DB)
	for part := range int16(outbox.Parts) {
		_, err := dispatcher.FanOut(t.Context(), part)
		require.NoError(t, err)
	}
	attempted := attemptOne(t, dispatcher)

	for _, path := range []string{"/v1/webhook-deliveries?", "/v1/webhook-deliveries?webhook_id=" + hook + "&", "/v1/webhook-deliveries?event_type=account.created&"} {
		var ids []string
		for cursor, more := "", true; more; {
			page := api.Do(t, "GET", path+"limit=2"+cursor, nil).Require(t, http.StatusOK).JSON(t)
			for _, d := range page["data"].([]any) {
				ids = append(ids, d.(map[string]any)["id"].(string))
			}
			if more = page["has_more"].(bool); more {
				cursor = fmt.Sprintf("&cursor=%s", page["next_cursor"])
			}
		}
		require.Len(t, ids, 3, path)
	}
	failed := api.Do(t, "GET", "/v1/webhook-deliveries?status=failed", nil).JSON(t)["data"].([]any)
	require.Len(t, failed, 1)
	require.Equal(t, attempted, failed[0].(map[string]any)["id"])
	require.Nil(t, failed[0].(map[string]any)["next_attempt_at"])

	single := api.Do(t, "GET", "/v1/webhook-deliveries/"+attempted, nil).Require(t, http.StatusOK).JSON(t)
	attempts := single["attempts"].([]any)
	require.Len(t, attempts, 1)
	require.InDelta(t, 503, attempts[0].(map[string]any)["status_code"], 0)
	require.Equal(t, "try later", attempts[0].(map[string]any)["response_body"])

	stranger := apitest.Key(api.NewTenant(t).Key)
	api.Do(t, "GET", "/v1/webhook-deliveries/"+attempted, nil, stranger).Require(t, http.StatusNotFound)
	api.Do(t, "GET", "/v1/webhook-events/"+first["id"].(string), nil, stranger).Require(t, http.StatusNotFound)
	api.Do(t, "GET", "/v1/webhook-deliveries?webhook_id="+hook, nil, stranger).Require(t, http.StatusNotFound)
	for _, path := range []string{"/v1/webhook-deliveries", "/v1/webhook-events", "/v1/webhooks"} {
		require.Empty(t, api.Do(t, "GET", path, nil, stranger).Require(t, http.StatusOK).JSON(t)["data"])
	}
}

// attemptOne makes one delivery fail for good and returns its id.
func attemptOne(t *testing.T, dispatcher *outbox.Dispatcher) string {
	t.Helper()
	lanes, err := dispatcher.Claim(t.Context(), 1)
	require.NoError(t, err)
	fetched, err := dispatcher.Fetch(t.Context(), []outbox.Want{{LaneKey: lanes[0].LaneKey, Epoch: lanes[0].Epoch, Limit: 1}})
	require.NoError(t, err)
	due := fetched[0].Due[0]
	_, err = dispatcher.Complete(t.Context(), []outbox.Result{{
		BusinessID: lanes[0].BusinessID, DeliveryID: due.ID, WebhookID: lanes[0].WebhookID, EventID: due.EventID, Run: due.Run, AttemptCount: due.AttemptCount,
		Status: models.DeliveryFailed, FailureReason: "no attempt left", StatusCode: 503, ResponseBody: "try later", SentAt: database.Now(),
	}})
	require.NoError(t, err)
	return due.ID.String()
}
