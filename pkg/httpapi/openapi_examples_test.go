package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/httpapi"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/tenant"
)

// The objects of the document's examples.
const (
	theBusiness = "biz_01kg9yv328e9nv59tdwh9edd1r"
	alice       = "acct_01kg9ywymge33ad8x4a1jh69re"
	cafe        = "acct_01kg9yyt6rf29s4fr84g98pbsk"
	frozen      = "acct_01kg9zwa2hf8rb6c3v7m1q9x5t"
	nobodys     = "acct_01kg9zzzzzf4h99rxzj4d63pz2"
	payment     = "txn_01kg9z2hb8f0fthrjxjg7dj13n"
	deposit     = "hold_01kg9zdprrf85a2w5k70wjcc2s"
	cancelled   = "hold_01kg9zfjb0e3zv578dn6akyj7h"
	shopHook    = "wh_01kg9zhdx8esd9bsgayp9vt16f"
	opening     = "evt_01kg9zk9fgee5vktytsg6b3rmw"
	trial       = "dlv_01kg9zq0m0ettrm8ynjrh1ffnd"
	theReplay   = "rpl_01kg9zrw68e7h8mtk3xgjevsn4"
	reporting   = "key_01kg9zwkarebkax5xtjk8eva1f"
)

// TestEveryExampleIsTrue plays the examples of the document on real servers: what
// they send is sent, and answered as they show.
func TestEveryExampleIsTrue(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	tellOfMoney(t, s)
	tellOfReplays(t, s)
	tellOfKeys(t, s)
	tellOfRefusals(t, s)
	tellOfHealth(t, s)
	require.Empty(t, s.wanted, "examples that nothing here executes")
}

func tellOfMoney(t *testing.T, of *script) {
	t.Helper()
	api := apitest.New(t)
	s := of.tell(api)
	s.is(theBusiness, api.Business.String())
	s.is(nobodys, nobodys)
	receiver := newEndpoint(t)
	dispatchFor(t, api)
	s.aliases["https://shop.example/webhooks"] = receiver.URL

	s.play(t, turn{operation: "getBusiness", status: 200, answer: "business"})
	s.play(t, turn{operation: "createAccount", body: "@account-request", status: 201, answer: "account"})
	s.play(t, turn{operation: "getAccount", path: "/v1/accounts/" + alice, status: 200, answer: "account"})
	s.play(t, turn{operation: "listAccounts", path: "/v1/accounts?reference=customer-17", status: 200, answer: "account-list"})
	s.is(cafe, api.Do(t, "POST", "/v1/accounts", `{"name":"Café Central","reference":"merchant-4"}`).Require(t, 201).String(t, "id"))

	s.play(t, turn{operation: "createTransaction", body: "@credit-request", status: 201, answer: "credit"})
	s.heard(t, "account.created", alice, "event-account-created")
	s.heard(t, "transaction.created", "", "event-transaction-created")
	s.play(t, turn{operation: "getEvent", path: "/v1/webhook-events/" + opening, status: 200, answer: "event-account-created"})
	s.play(t, turn{operation: "listEvents", path: "/v1/webhook-events?event_type=transaction.created", status: 200, answer: "event-list"})

	s.aside().play(t, turn{operation: "createTransaction", path: "/v1/transactions?dry_run=true", body: "@payment-request", status: 200, answer: "payment"})
	s.play(t, turn{operation: "createTransaction", body: "@payment-request", status: 201, answer: "payment"})
	s.play(t, turn{operation: "getTransaction", path: "/v1/transactions/" + payment, status: 200, answer: "payment"})
	s.play(t, turn{operation: "listTransactions", path: "/v1/transactions?limit=1&account_id=" + alice, status: 200, answer: "transaction-list"})
	s.play(t, turn{operation: "getBalance", path: "/v1/accounts/" + alice + "/balance?at=2026-01-31T00:00:00Z", status: 200, answer: "past-balance"})
	tellOfRefusedMovements(t, s)

	s.play(t, turn{operation: "reverseTransaction", path: "/v1/transactions/" + payment + "/reverse", body: "@reversal-request", status: 201, answer: "reversal"})
	s.heard(t, "transaction.reversed", "", "event-transaction-reversed")
	statement := "/v1/accounts/" + cafe + "/entries"
	s.play(t, turn{operation: "listEntries", path: statement + "?limit=1", status: 200, answer: "entry-list"})
	s.play(t, turn{operation: "listEntries", path: statement, status: 200, answer: "statement-csv", options: []apitest.Option{apitest.Header("Accept", "text/csv")}})
	s.play(t, turn{operation: "listEntries", path: statement, status: 200, answer: "statement-ndjson", options: []apitest.Option{apitest.Header("Accept", "application/x-ndjson")}})

	s.play(t, turn{operation: "createBatch", body: "@batch-request", status: 201, answer: "batch", options: []apitest.Option{apitest.IdempotencyKey("tips-7")}})
	s.play(t, turn{
		operation: "createBatch", status: 422, answer: "batch-refused",
		body: strings.Replace(string(s.example(t, "independent-batch-request")), `"atomic":false`, `"atomic":true`, 1),
	})
	s.play(t, turn{operation: "createBatch", body: "@independent-batch-request", status: 200, answer: "independent-batch", options: []apitest.Option{apitest.IdempotencyKey("tips-8")}})

	tellOfHolds(t, s)
	tellOfWebhooks(t, s, receiver)
}

func (s *story) example(t *testing.T, name string) []byte {
	t.Helper()
	text, err := json.Marshal(s.shown[name])
	require.NoError(t, err)
	return text
}

// heard compares the first event of the type, about the object when one is given,
// with an example.
func (s *story) heard(t *testing.T, kind, about, example string) {
	t.Helper()
	events := s.api.Do(t, "GET", "/v1/webhook-events?limit=200&event_type="+kind, nil).Require(t, 200).JSON(t)["data"].([]any)
	require.NotEmpty(t, events, kind)
	for i := len(events) - 1; i >= 0; i-- {
		data := events[i].(map[string]any)["data"].(map[string]any)
		if about != "" && data["id"] != s.real[about] {
			continue
		}
		require.NoError(t, s.same(s.shown[example], events[i], example))
		s.executed("", "", example)
		return
	}
	require.FailNow(t, "no such event", "%s about %s", kind, about)
}

func tellOfRefusedMovements(t *testing.T, s *story) {
	t.Helper()
	refuse := func(status int, answer, body string, options ...apitest.Option) {
		t.Helper()
		s.play(t, turn{operation: "createTransaction", body: body, status: status, answer: answer, options: options})
	}
	refuse(422, "insufficient-funds", transferBody(alice, cafe, 50000))
	refuse(422, "currency-mismatch", strings.Replace(transferBody(alice, cafe, 1), "{", `{"currency":"EUR",`, 1))
	refuse(422, "condition-failed", strings.Replace(transferBody(alice, cafe, 1), "{", `{"conditions":{"source_version":1},`, 1))
	refuse(422, "limit-exceeded", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":9007199254740991}`, alice))
	refuse(422, "idempotency-key-reused", transferBody(alice, cafe, 1), apitest.IdempotencyKey("order-1042"))
	refuse(404, "unknown-account", transferBody(alice, nobodys, 1))
	s.is(frozen, s.api.Do(t, "POST", "/v1/accounts", `{"name":"Frozen"}`).Require(t, 201).String(t, "id"))
	s.api.Do(t, "PATCH", "/v1/accounts/"+s.real[frozen], `{"status":"frozen"}`).Require(t, 200)
	refuse(422, "account-not-active", transferBody(alice, frozen, 1))

	s.play(t, turn{operation: "getAccount", path: "/v1/accounts/" + nobodys, status: 404, answer: "not-found"})
	s.play(t, turn{operation: "createAccount", body: `{"name":"Twin","reference":"customer-17"}`, status: 409, answer: "already-exists"})
	s.play(t, turn{operation: "createAccount", body: `{"name":"","currency":"XXX"}`, status: 422, answer: "validation-failed"})
}

func tellOfHolds(t *testing.T, s *story) {
	t.Helper()
	s.play(t, turn{operation: "createHold", body: "@hold-request", status: 201, answer: "hold"})
	s.play(t, turn{operation: "getHold", path: "/v1/holds/" + deposit, status: 200, answer: "hold"})
	s.play(t, turn{operation: "listHolds", path: "/v1/holds?status=pending&account_id=" + alice, status: 200, answer: "hold-list"})
	s.play(t, turn{operation: "getBalance", path: "/v1/accounts/" + alice + "/balance", status: 200, answer: "balance"})
	s.heard(t, "hold.created", deposit, "event-hold-created")
	s.play(t, turn{operation: "captureHold", path: "/v1/holds/" + deposit + "/capture", body: "@capture-request", status: 201, answer: "capture"})
	s.heard(t, "hold.captured", deposit, "event-hold-captured")

	held := s.api.Do(t, "POST", "/v1/holds", s.translate(fmt.Sprintf(
		`{"account_id":%q,"destination_account_id":%q,"amount":1500,"description":"Cancelled order"}`, alice, cafe)))
	s.is(cancelled, held.Require(t, 201).String(t, "id"))
	s.play(t, turn{operation: "voidHold", path: "/v1/holds/" + cancelled + "/void", status: 200, answer: "hold-voided"})
	s.play(t, turn{operation: "voidHold", path: "/v1/holds/" + cancelled + "/void", status: 409, answer: "not-pending"})
	s.heard(t, "hold.voided", cancelled, "event-hold-voided")

	s.play(t, turn{operation: "updateAccount", path: "/v1/accounts/" + alice, body: "@account-change", status: 200, answer: "account-changed"})
	s.heard(t, "account.updated", alice, "event-account-updated")
	s.play(t, turn{operation: "updateAccount", path: "/v1/accounts/" + cafe, body: `{"status":"closed"}`, status: 409, answer: "closing-with-money"})

	s.api.Do(t, "POST", "/v1/holds", s.translate(fmt.Sprintf(`{"account_id":%q,"destination_account_id":%q,"amount":700,"expires_at":%q}`,
		alice, cafe, time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)))).Require(t, 201)
	require.Eventually(t, func() bool {
		s.api.Do(t, "PATCH", "/v1/accounts/"+s.real[alice], `{"overdraft_limit":5000}`).Require(t, 200) // expires what is overdue
		return len(s.api.Do(t, "GET", "/v1/webhook-events?event_type=hold.expired", nil).JSON(t)["data"].([]any)) > 0
	}, 20*time.Second, 50*time.Millisecond)
	s.heard(t, "hold.expired", "", "event-hold-expired")
}

func tellOfWebhooks(t *testing.T, s *story, receiver *endpoint) {
	t.Helper()
	hook := "/v1/webhooks/" + shopHook
	// What waits in the outbox would go to an endpoint that is made meanwhile.
	require.Eventually(t, func() bool {
		var waiting int
		return s.api.DB.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_outbox`).Scan(&waiting) == nil && waiting == 0
	}, 20*time.Second, 10*time.Millisecond)
	s.play(t, turn{operation: "createWebhook", body: "@webhook-request", status: 201, answer: "webhook-created"})
	s.play(t, turn{operation: "testWebhook", path: hook + "/test", status: 200, answer: "delivery"})
	s.heard(t, "webhook.test", "", "event-webhook-test")
	s.play(t, turn{operation: "getDelivery", path: "/v1/webhook-deliveries/" + trial, status: 200, answer: "delivery"})
	s.play(t, turn{operation: "listDeliveries", path: "/v1/webhook-deliveries?event_type=webhook.test", status: 200, answer: "delivery-list"})
	s.play(t, turn{operation: "listWebhooks", status: 200, answer: "webhook-list"})
	s.await(t, turn{operation: "getWebhook", path: hook, status: 200, answer: "webhook"})
	s.play(t, turn{operation: "replayDelivery", path: "/v1/webhook-deliveries/" + trial + "/replay", status: 201, answer: "delivery-replay"})
	s.play(t, turn{operation: "replayEvent", path: "/v1/webhook-events/" + opening + "/replay", body: "@event-replay-request", status: 201, answer: "event-replay"})
	require.Eventually(t, func() bool { return len(receiver.received()) == 3 }, 20*time.Second, 10*time.Millisecond)
	requireSent(t, s.document, receiver.received())
	s.play(t, turn{operation: "rotateWebhookSecret", path: hook + "/rotate-secret", body: "@rotation-request", status: 200, answer: "webhook-created"})
	s.play(t, turn{operation: "updateWebhook", path: hook, body: "@webhook-change", status: 200, answer: "webhook-changed"})
	s.api.Do(t, "PATCH", s.translate(hook), `{"status":"disabled"}`).Require(t, http.StatusOK)
	s.heard(t, "webhook.disabled", "", "event-webhook-disabled")
}

// requireSent holds what an endpoint got to the document's webhooks.
func requireSent(t *testing.T, document *openapi3.T, receipts []receipt) {
	t.Helper()
	for _, r := range receipts {
		for _, name := range []string{"SentId", "SentTimestamp", "SentSignature"} {
			parameter := document.Components.Parameters[name].Value
			require.NoError(t, parameter.Schema.Value.VisitJSON(r.header.Get(parameter.Name)), parameter.Name)
		}
		var body any
		require.NoError(t, json.Unmarshal(r.body, &body))
		require.NoError(t, document.Components.Schemas["Event"].Value.VisitJSON(body))
	}
}

// tellOfReplays has no dispatcher, so that a replay stays where it is.
func tellOfReplays(t *testing.T, of *script) {
	t.Helper()
	api := apitest.New(t)
	s := of.tell(api)
	account := openAccount(t, api, 1)
	for range 7 {
		api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1}`, account)).Require(t, 201)
	}
	id, _ := createWebhook(t, api, "https://shop.example/webhooks", `,"event_types":["transaction.*","hold.*"]`)
	s.is(shopHook, id)
	replay := "/v1/webhooks/" + shopHook + "/replay"
	s.play(t, turn{operation: "replayWebhook", path: replay + "?dry_run=true", body: "@webhook-replay-request", status: 200, answer: "replay-preview"})
	first := s.aside().play(t, turn{operation: "replayWebhook", path: replay, body: "@webhook-replay-request", status: 201, answer: "replay"})
	api.Do(t, "POST", "/v1/webhook-replays/"+first.String(t, "id")+"/cancel", nil).Require(t, 200)
	s.play(t, turn{operation: "createReplay", body: "@replay-request", status: 201, answer: "replay"})
	s.play(t, turn{operation: "getReplay", path: "/v1/webhook-replays/" + theReplay, status: 200, answer: "replay"})
	s.play(t, turn{operation: "listReplays", path: "/v1/webhook-replays?status=pending", status: 200, answer: "replay-list"})
	s.play(t, turn{operation: "cancelReplay", path: "/v1/webhook-replays/" + theReplay + "/cancel", status: 200, answer: "replay-cancelled"})
}

func tellOfKeys(t *testing.T, of *script) {
	t.Helper()
	api := apitest.New(t)
	s := of.tell(api)
	manager := []apitest.Option{apitest.Key(api.IssueKey(t, api.Business, apikey.AccountsRead, apikey.TransactionsRead, apikey.KeysManage))}
	s.play(t, turn{operation: "createAPIKey", body: "@api-key-request", status: 201, answer: "api-key-issued", options: manager})
	s.play(t, turn{operation: "getAPIKey", path: "/v1/api-keys/" + reporting, status: 200, answer: "api-key", options: manager})
	s.play(t, turn{operation: "listAPIKeys", path: "/v1/api-keys?limit=1", status: 200, answer: "api-key-list", options: manager})
	s.play(t, turn{operation: "rotateAPIKey", path: "/v1/api-keys/" + reporting + "/rotate", body: "@rotation-request", status: 200, answer: "api-key-rotated", options: manager})
}

func tellOfRefusals(t *testing.T, of *script) {
	t.Helper()
	api := apitest.New(t, apitest.Options{PerIP: "20-M"})
	s := of.tell(api)
	twins := mountTwins(t, s)
	reader := apitest.Key(api.IssueKey(t, api.Business, apikey.AccountsRead))
	s.play(t, turn{operation: "listAccounts", status: 401, answer: "unauthenticated", options: []apitest.Option{apitest.Key("")}})
	s.play(t, turn{operation: "createAccount", body: "@account-request", status: 403, answer: "insufficient-scope", options: []apitest.Option{reader}})
	s.play(t, turn{operation: "listAccounts", path: "/v1/accounts?colour=red", status: 400, answer: "unknown-parameter"})
	s.play(t, turn{operation: "createAccount", body: `{"name":"x","colour":"red"}`, status: 400, answer: "unknown-field"})
	s.play(t, turn{operation: "createAccount", body: `{"name":"x"}`, status: 400, answer: "idempotency-key-missing", options: []apitest.Option{apitest.IdempotencyKey("")}})
	s.play(t, turn{operation: "createAccount", body: `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, answer: "body-too-large"})
	s.play(t, turn{operation: "createAccount", body: `name: x`, status: 415, answer: "unsupported-media-type", options: []apitest.Option{apitest.Header("Content-Type", "application/yaml")}})
	suspended := api.NewTenant(t)
	require.NoError(t, api.DB.InTx(t.Context(), func(tx *gorm.DB) error {
		_, err := tenant.Suspend(t.Context(), tx, apitest.Operator, suspended.Business)
		return err
	}))
	s.play(t, turn{operation: "getBusiness", status: 403, answer: "business-suspended", options: []apitest.Option{apitest.Key(suspended.Key)}})
	twins()
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/v1/business", nil).Status == http.StatusTooManyRequests
	}, 20*time.Second, time.Millisecond)
	s.play(t, turn{operation: "getBusiness", status: 429, answer: "rate-limited"})

	// No operation of the document can be made to fail: one that does is mounted.
	failing := apitest.New(t)
	failing.Handler().Mount("GET", "/v1/fails", "", func(*gin.Context) error { return errors.New("disk full") })
	require.NoError(t, of.tell(failing).compare("internal", failing.Do(t, "GET", "/v1/fails", nil).Require(t, 500).Body))
	of.executed("", "", "internal")
}

// mountTwins adds a route that opens an account slowly, and returns what plays the
// refusal of a twin that comes meanwhile.
func mountTwins(t *testing.T, s *story) (play func()) {
	t.Helper()
	begun, over := make(chan struct{}), make(chan struct{})
	handler := s.api.Handler()
	handler.Mount("POST", "/v1/slow", apikey.AccountsWrite, func(c *gin.Context) error {
		var body struct{ httpapi.Keyed }
		if err := httpapi.Decode(c, &body); err != nil {
			return err
		}
		return handler.Once(c, "account.create", &body, func(*gorm.DB) (idempotency.Answer, error) {
			close(begun)
			<-over
			return httpapi.AnswerSecretly(http.StatusCreated, map[string]any{}, map[string]any{})
		})
	})
	key := apitest.IdempotencyKey("twins")
	return func() {
		done := make(chan error, 1)
		go func() {
			_, err := s.api.Try(t, "POST", "/v1/slow", `{}`, key)
			done <- err
		}()
		<-begun
		s.play(t, turn{operation: "createAccount", body: `{"name":"x"}`, status: 409, answer: "idempotency-in-progress", options: []apitest.Option{key}})
		close(over)
		require.NoError(t, <-done)
	}
}

func tellOfHealth(t *testing.T, of *script) {
	t.Helper()
	well := of.tell(apitest.New(t, apitest.Options{RedisURL: dbtest.Redis(t)}))
	well.play(t, turn{operation: "getHealth", status: 200, answer: "health"})
	well.play(t, turn{operation: "getLiveness", status: 200, answer: "live"})
	well.play(t, turn{operation: "getReadiness", status: 200, answer: "live"})
	well.api.Handler().Drain()
	well.play(t, turn{operation: "getReadiness", status: 503, answer: "draining"})

	degraded := of.tell(apitest.New(t, apitest.Options{RedisURL: "redis://127.0.0.1:1/0"}))
	degraded.play(t, turn{operation: "getHealth", status: 200, answer: "health-degraded"})

	nowhere := url.URL{Scheme: "postgres", User: url.User("nobody"), Host: "127.0.0.1:1", Path: "none"}
	down := of.tell(apitest.New(t, apitest.Options{DatabaseURL: nowhere.String(), Down: true}))
	down.play(t, turn{operation: "getHealth", status: 503, answer: "health-down"})
	down.play(t, turn{operation: "getBusiness", status: 503, answer: "unavailable", options: []apitest.Option{apitest.Key(well.api.Key)}})
}
