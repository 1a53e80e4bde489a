package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// fanOut turns the outbox into deliveries.
func fanOut(t *testing.T, dispatcher *outbox.Dispatcher) {
	t.Helper()
	for part := range int16(outbox.Parts) {
		_, err := dispatcher.FanOut(t.Context(), part)
		require.NoError(t, err)
	}
}

// ended works a replay off and returns it.
func ended(t *testing.T, api *apitest.API, dispatcher *outbox.Dispatcher, id string) map[string]any {
	t.Helper()
	var replay map[string]any
	require.Eventually(t, func() bool {
		_, _, err := dispatcher.StepReplay(t.Context())
		require.NoError(t, err)
		replay = api.Do(t, "GET", "/v1/webhook-replays/"+id, nil).Require(t, http.StatusOK).JSON(t)
		return replay["finished_at"] != nil
	}, 20*time.Second, time.Millisecond)
	return replay
}

// counts are the numbers of a replay: matched, missing, replayed, pending.
func counts(t *testing.T, replay map[string]any) (all [4]int) {
	t.Helper()
	for i, field := range []string{"matched", "missing", "replayed", "pending"} {
		number, ok := replay[field].(float64)
		require.True(t, ok, "%s in %v", field, replay)
		all[i] = int(number)
	}
	return all
}

func TestReplaysOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	dispatcher := outbox.NewDispatcher(api.DB)
	openAccount(t, api, 0)
	fanOut(t, dispatcher)
	hook := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/","event_types":["account.*"]}`).
		Require(t, http.StatusCreated).String(t, "id")
	openAccount(t, api, 0)
	fanOut(t, dispatcher)
	delivery := attemptOne(t, dispatcher)
	shown := api.Do(t, "GET", "/v1/webhook-deliveries/"+delivery, nil).JSON(t)
	require.InDelta(t, 1, shown["run"], 0)
	event, _ := shown["event_id"].(string)
	replay := func(path string, body any, status int) map[string]any {
		t.Helper()
		return api.Do(t, "POST", path, body).Require(t, status).JSON(t)
	}

	// Dry runs count and change nothing.
	since := `{"since":"2020-01-01T00:00:00Z"}`
	for path, want := range map[string][4]int{
		"/v1/webhook-deliveries/" + delivery + "/replay": {1, 0, 0, 0},
		"/v1/webhook-events/" + event + "/replay":        {1, 0, 0, 0},
		"/v1/webhooks/" + hook + "/replay":               {1, 0, 0, 0},
		"/v1/webhook-replays":                            {1, 0, 0, 0},
	} {
		require.Equal(t, want, counts(t, replay(path+"?dry_run=true", nil, http.StatusOK)), path)
	}
	require.Equal(t, [4]int{2, 1, 0, 0}, counts(t, replay("/v1/webhooks/"+hook+"/replay?dry_run=true", since, http.StatusOK)))
	require.Equal(t, shown, api.Do(t, "GET", "/v1/webhook-deliveries/"+delivery, nil).JSON(t))
	require.Empty(t, api.Do(t, "GET", "/v1/webhook-replays", nil).JSON(t)["data"])

	// One delivery, at once, and once per idempotency key.
	key := apitest.IdempotencyKey("again")
	done := api.Do(t, "POST", "/v1/webhook-deliveries/"+delivery+"/replay", nil, key).Require(t, http.StatusCreated)
	require.Equal(t, "completed", done.String(t, "status"))
	require.Equal(t, delivery, done.String(t, "delivery_id"))
	require.Equal(t, [4]int{1, 0, 1, 0}, counts(t, done.JSON(t)))
	twice := api.Do(t, "POST", "/v1/webhook-deliveries/"+delivery+"/replay", nil, key).Require(t, http.StatusCreated)
	require.Equal(t, "true", twice.Header.Get("Idempotent-Replayed"))
	require.Equal(t, done.JSON(t), twice.JSON(t))
	shown = api.Do(t, "GET", "/v1/webhook-deliveries/"+delivery, nil).JSON(t)
	require.InDelta(t, 2, shown["run"], 0)
	require.Equal(t, "pending", shown["status"])
	require.InDelta(t, 1, shown["attempt_count"], 0, "attempts go on counting")
	require.Equal(t, [4]int{1, 0, 0, 1}, counts(t, replay("/v1/webhook-events/"+event+"/replay", `{}`, http.StatusCreated)), "pending already")

	// What the endpoint never had, worked off by a dispatcher.
	queued := replay("/v1/webhooks/"+hook+"/replay", `{"since":"2020-01-01T00:00:00Z","event_types":["account.created"],"rate":500}`, http.StatusCreated)
	require.Equal(t, "pending", queued["status"])
	require.Equal(t, hook, queued["webhook_id"])
	require.InDelta(t, 500, queued["rate"], 0)
	id, _ := queued["id"].(string)
	require.Equal(t, [4]int{2, 1, 1, 1}, counts(t, ended(t, api, dispatcher, id)))
	other := replay("/v1/webhook-replays", `{"webhook_id":"`+hook+`"}`, http.StatusCreated)
	otherID, _ := other["id"].(string)
	require.Equal(t, "cancelled", api.Do(t, "POST", "/v1/webhook-replays/"+otherID+"/cancel", nil).Require(t, http.StatusOK).String(t, "status"))
	require.Equal(t, "completed", replay("/v1/webhook-replays", nil, http.StatusCreated)["status"], "nothing failed")

	page := api.Do(t, "GET", "/v1/webhook-replays?limit=3", nil).Require(t, http.StatusOK).JSON(t)
	require.Len(t, page["data"], 3)
	cursor, _ := page["next_cursor"].(string)
	require.Len(t, api.Do(t, "GET", "/v1/webhook-replays?cursor="+cursor, nil).JSON(t)["data"], 2)
	require.Len(t, api.Do(t, "GET", "/v1/webhook-replays?status=cancelled", nil).JSON(t)["data"], 1)

	for _, path := range []string{"/v1/webhook-deliveries?", "/v1/webhook-deliveries?webhook_id=" + hook + "&"} {
		require.Len(t, api.Do(t, "GET", path+"since=2020-01-01T00:00:00Z", nil).Require(t, http.StatusOK).JSON(t)["data"], 2)
		require.Empty(t, api.Do(t, "GET", path+"since=2999-01-01T00:00:00Z", nil).Require(t, http.StatusOK).JSON(t)["data"])
	}
	var logged int
	require.NoError(t, api.DB.Pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_log WHERE action IN ('webhook.replayed', 'replay.cancelled')
		AND actor LIKE 'key:key_%'`).Scan(&logged))
	require.Equal(t, 6, logged)
}

func TestReplayErrors(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	dispatcher := outbox.NewDispatcher(api.DB)
	hook := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/"}`).Require(t, http.StatusCreated).String(t, "id")
	openAccount(t, api, 0)
	fanOut(t, dispatcher)
	delivery := attemptOne(t, dispatcher)
	event, _ := api.Do(t, "GET", "/v1/webhook-deliveries/"+delivery, nil).JSON(t)["event_id"].(string)
	replay := api.Do(t, "POST", "/v1/webhooks/"+hook+"/replay", nil).Require(t, http.StatusCreated).String(t, "id")
	disabled := api.Do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/"}`).Require(t, http.StatusCreated).String(t, "id")
	api.Do(t, "PATCH", "/v1/webhooks/"+disabled, `{"status":"disabled"}`).Require(t, http.StatusOK)

	stranger := apitest.Key(api.NewTenant(t).Key)
	noKey := apitest.IdempotencyKey("")
	unknownHook := models.NewID[models.WebhookPrefix]().String()
	for _, test := range []struct {
		path, body string
		code       errs.Code
		options    []apitest.Option
	}{
		{"/v1/webhooks/" + hook + "/replay", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-events/" + event + "/replay", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-deliveries/" + delivery + "/replay", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-replays", `{"webhook_id":"` + hook + `"}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-replays/" + replay + "/cancel", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhooks/" + hook + "/replay?dry_run=true", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-events/" + event + "/replay?dry_run=true", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-deliveries/" + delivery + "/replay?dry_run=true", `{}`, errs.NotFound, []apitest.Option{stranger}},
		{"/v1/webhook-events/" + event + "/replay", `{"webhook_id":"` + unknownHook + `"}`, errs.NotFound, nil},
		{"/v1/webhooks/" + unknownHook + "/replay", `{}`, errs.NotFound, nil},
		{"/v1/webhooks/" + event + "/replay", `{}`, errs.NotFound, nil},
		{"/v1/webhook-deliveries/x/replay", `{}`, errs.NotFound, nil},
		{"/v1/webhook-events/" + delivery + "/replay", `{}`, errs.NotFound, nil},
		{"/v1/webhook-replays/x/cancel", `{}`, errs.NotFound, nil},
		{"/v1/webhooks/" + hook + "/replay", `{}`, errs.IdempotencyKeyMissing, []apitest.Option{noKey}},
		{"/v1/webhooks/" + hook + "/replay?dry_run=true", `{}`, errs.IdempotencyKeyMissing, []apitest.Option{noKey}},
		{"/v1/webhook-deliveries/" + delivery + "/replay", `{}`, errs.IdempotencyKeyMissing, []apitest.Option{noKey}},
		{"/v1/webhook-replays/" + replay + "/cancel", `{}`, errs.IdempotencyKeyMissing, []apitest.Option{noKey}},
		{"/v1/webhooks/" + disabled + "/replay", `{}`, errs.InvalidState, nil},
		{"/v1/webhook-events/" + event + "/replay", `{"webhook_id":"` + disabled + `"}`, errs.InvalidState, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"since":"yesterday"}`, errs.ValidationFailed, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"since":7}`, errs.InvalidRequest, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"}`, errs.ValidationFailed, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"event_types":[]}`, errs.ValidationFailed, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"event_types":["nope"]}`, errs.ValidationFailed, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"rate":0}`, errs.ValidationFailed, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"rate":10001}`, errs.ValidationFailed, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"rate":1.5}`, errs.InvalidRequest, nil},
		{"/v1/webhooks/" + hook + "/replay", `{"webhook_id":"` + hook + `"}`, errs.InvalidRequest, nil},
		{"/v1/webhook-events/" + event + "/replay", `{"webhook_id":"` + event + `"}`, errs.ValidationFailed, nil},
		{"/v1/webhook-events/" + event + "/replay", `{"since":"2026-01-01T00:00:00Z"}`, errs.InvalidRequest, nil},
		{"/v1/webhooks/" + hook + "/replay?dry_run=perhaps", `{}`, errs.InvalidRequest, nil},
		{"/v1/webhooks/" + hook + "/replay?rate=1", `{}`, errs.InvalidRequest, nil},
	} {
		res := api.Do(t, "POST", test.path, test.body, test.options...)
		require.Equal(t, string(test.code), res.String(t, "code"), "%s %s: %s", test.path, test.body, res.Body)
		require.Equal(t, statusOf[test.code], res.Status)
	}
	api.Do(t, "GET", "/v1/webhook-replays/"+replay, nil, stranger).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	api.Do(t, "GET", "/v1/webhook-replays?status=lost", nil).RequireProblem(t, http.StatusBadRequest, errs.InvalidRequest)
	api.Do(t, "GET", "/v1/webhook-deliveries?since=x", nil).RequireProblem(t, http.StatusBadRequest, errs.InvalidRequest)
	require.Empty(t, api.Do(t, "GET", "/v1/webhook-replays", nil, stranger).JSON(t)["data"])
	require.Len(t, api.Do(t, "GET", "/v1/webhook-replays", nil).JSON(t)["data"], 1, "what was refused left nothing")
	require.Equal(t, "failed", api.Do(t, "GET", "/v1/webhook-deliveries/"+delivery, nil).String(t, "status"))
}
