package client_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/client"
	"github.com/txn-service/txn/pkg/httpapi"
)

// visited keeps which operations were called.
type visited struct {
	http.RoundTripper
	mu         sync.Mutex
	operations map[string]bool
}

var idInPath = regexp.MustCompile(`/[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}`)

// RoundTrip implements http.RoundTripper.
func (v *visited) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	v.operations[r.Method+" "+idInPath.ReplaceAllString(r.URL.Path, "/{id}")] = true
	v.mu.Unlock()
	return v.RoundTripper.RoundTrip(r)
}

// TestEveryOperation calls all that the document describes, and holds what is sent and
// answered to it.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	dispatchFor(t, api)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	visits := &visited{RoundTripper: apitest.Contract(t).Transport(t, transport), operations: map[string]bool{}}
	c := judged(t, api, client.WithHTTPClient(&http.Client{Transport: visits}))

	business, err := c.Business.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.Business.String(), business.ID)
	accounts(t, c)
	transactions(t, c)
	batches(t, c)
	holds(t, c)
	webhooks(t, c)
	keys(t, c)

	document, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI())
	require.NoError(t, err)
	var missing []string
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			if operation := method + " " + path; strings.HasPrefix(path, "/v1/") && !visits.operations[operation] {
				missing = append(missing, operation)
			}
		}
	}
	require.Empty(t, missing, "no method of the client calls them")
}

func accounts(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	made, err := c.Accounts.Create(ctx, client.NewAccount{
		Name: "Card", Currency: "EUR", Reference: "card-7", OverdraftLimit: client.Value[int64](500), Metadata: client.Metadata{"tier": "gold"},
	})
	require.NoError(t, err)
	require.EqualValues(t, 500, *made.OverdraftLimit)
	require.Equal(t, "card-7", *made.Reference)
	changed, err := c.Accounts.Update(ctx, made.ID, client.AccountChange{
		Name: "Debit card", Reference: client.Null[string](), OverdraftLimit: client.Null[int64](),
	})
	require.NoError(t, err)
	require.Equal(t, "Debit card", changed.Name)
	require.Nil(t, changed.Reference)
	require.Nil(t, changed.OverdraftLimit, "no limit")
	require.Equal(t, client.Metadata{"tier": "gold"}, changed.Metadata, "what is not given stays")
	closed, err := c.Accounts.Update(ctx, made.ID, client.AccountChange{Status: client.AccountStatusClosed})
	require.NoError(t, err)
	got, err := c.Accounts.Get(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, closed, got)
	page, err := c.Accounts.List(ctx, client.ListAccountsParams{Status: client.AccountStatusClosed, Currency: "EUR", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []client.Account{*got}, page.Data)
	require.False(t, page.HasMore)
}

func transactions(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	alice, bob := open(t, c, "Alice", 10_000), open(t, c, "Bob", 0)
	before := time.Now().Add(-time.Hour)
	payment := client.NewTransaction{
		Type: client.TransactionTypeTransfer, Amount: 1250, SourceAccountID: alice.ID, DestinationAccountID: bob.ID,
		Reference: "order-1", EffectiveAt: before, Metadata: client.Metadata{"order": "1"},
		Conditions: &client.Conditions{SourceVersion: new(int64(1)), SourceMinBalanceAfter: new(int64(0))},
	}
	dry, err := c.Transactions.DryRun(ctx, payment)
	require.NoError(t, err)
	require.EqualValues(t, 8750, dry.Entries[0].BalanceAfter)
	made, err := c.Transactions.Create(ctx, payment)
	require.NoError(t, err)
	require.Equal(t, alice.ID, *made.SourceAccountID)
	require.WithinDuration(t, before, *made.EffectiveAt, time.Microsecond)
	late := payment
	late.Reference = "order-2"
	_, err = c.Transactions.Create(ctx, late)
	require.True(t, client.IsCode(err, client.CodeConditionFailed), err)

	part, err := c.Transactions.Reverse(ctx, made.ID, client.NewReversal{Amount: new(int64(250))})
	require.NoError(t, err)
	require.Equal(t, made.ID, *part.ReversesTransactionID)
	_, err = c.Transactions.Reverse(ctx, made.ID, client.NewReversal{Amount: new(int64(0))})
	require.True(t, client.IsCode(err, client.CodeValidationFailed), "nothing is not all: %v", err)
	rest, err := c.Transactions.Reverse(ctx, made.ID, client.NewReversal{})
	require.NoError(t, err)
	require.EqualValues(t, 1000, rest.Amount)
	got, err := c.Transactions.Get(ctx, made.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1250, got.ReversedAmount)
	found, err := c.Transactions.List(ctx, client.ListTransactionsParams{
		AccountID: alice.ID, Type: client.TransactionTypeTransfer, Metadata: client.Metadata{"order": "1"},
		CreatedAfter: before, CreatedBefore: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	require.Equal(t, []client.Transaction{*got}, found.Data)

	now, err := c.Accounts.Balance(ctx, alice.ID)
	require.NoError(t, err)
	require.EqualValues(t, 10_000, now.Available)
	then, err := c.Accounts.BalanceAt(ctx, alice.ID, made.CreatedAt)
	require.NoError(t, err)
	require.EqualValues(t, 8750, then.Balance)
	entries, err := c.Accounts.Entries(ctx, alice.ID, client.ListEntriesParams{Limit: 2})
	require.NoError(t, err)
	require.True(t, entries.HasMore)
	require.Equal(t, rest.ID, entries.Data[0].TransactionID)
}

func batches(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	carol := open(t, c, "Carol", 100)
	debit := func(amount int64) client.NewTransaction {
		return client.NewTransaction{Type: client.TransactionTypeDebit, Amount: amount, SourceAccountID: carol.ID}
	}
	_, err := c.Transactions.CreateBatch(ctx, []client.NewTransaction{debit(10), debit(1000)})
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, client.CodeInsufficientFunds, refusal.Code)
	require.Equal(t, 1, *refusal.Index)
	made, err := c.Transactions.CreateBatch(ctx, []client.NewTransaction{debit(10), debit(20)}, client.WithIdempotencyKey("payday"))
	require.NoError(t, err)
	require.Len(t, made, 2)
	require.Equal(t, "payday/1", made[1].IdempotencyKey)
	each, err := c.Transactions.CreateEach(ctx, []client.NewTransaction{debit(1000), debit(70)})
	require.NoError(t, err)
	require.Len(t, each, 2)
	require.True(t, client.IsCode(each[0].Error, client.CodeInsufficientFunds))
	require.ErrorContains(t, each[0].Error, "422 insufficient_funds")
	require.Equal(t, http.StatusCreated, each[1].Status)
	require.EqualValues(t, 0, each[1].Transaction.Entries[0].BalanceAfter)
}

func holds(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	dave := open(t, c, "Dave", 1000)
	made, err := c.Holds.Create(ctx, client.NewHold{AccountID: dave.ID, Amount: 400, ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	_, err = c.Holds.Capture(ctx, made.ID, client.NewCapture{Amount: new(int64(0))})
	require.True(t, client.IsCode(err, client.CodeValidationFailed), "nothing is not all: %v", err)
	taken, err := c.Holds.Capture(ctx, made.ID, client.NewCapture{Amount: new(int64(300)), Final: true})
	require.NoError(t, err)
	require.Equal(t, made.ID, *taken.HoldID)
	got, err := c.Holds.Get(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, client.HoldStatusCaptured, got.Status)
	_, err = c.Holds.Void(ctx, made.ID)
	require.True(t, client.IsCode(err, client.CodeInvalidState), err)
	other, err := c.Holds.Create(ctx, client.NewHold{AccountID: dave.ID, Amount: 700})
	require.NoError(t, err)
	require.Nil(t, other.ExpiresAt)
	voided, err := c.Holds.Void(ctx, other.ID)
	require.NoError(t, err)
	page, err := c.Holds.List(ctx, client.ListHoldsParams{AccountID: dave.ID, Status: client.HoldStatusVoided})
	require.NoError(t, err)
	require.Equal(t, []client.Hold{*voided}, page.Data)
}

func webhooks(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(server.Close)
	made, err := c.Webhooks.Create(ctx, client.NewWebhook{URL: server.URL, EventTypes: []client.EventType{client.EventTypeWebhookDisabled}})
	require.NoError(t, err)
	rotated, err := c.Webhooks.RotateSecret(ctx, made.ID, client.SecretRotation{GracePeriodSeconds: new(0)})
	require.NoError(t, err)
	require.NotEqual(t, made.Secret, rotated.Secret)
	changed, err := c.Webhooks.Update(ctx, made.ID, client.WebhookChange{
		RateLimit: client.Value(100), Ordered: new(true), Headers: client.Value(map[string]string{"X-Shop": "7"}),
	})
	require.NoError(t, err)
	require.Equal(t, 100, *changed.RateLimit)
	require.Equal(t, map[string]string{"X-Shop": "7"}, changed.Headers)
	_, err = c.Webhooks.Create(ctx, client.NewWebhook{URL: server.URL, EventTypes: []client.EventType{}})
	require.True(t, client.IsCode(err, client.CodeValidationFailed), "an empty list is not everything: %v", err)

	delivery, err := c.Webhooks.Test(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, client.DeliveryStatusDelivered, delivery.Status)
	require.Equal(t, http.StatusNoContent, *delivery.Attempts[0].StatusCode)
	got, err := c.Webhooks.Get(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, client.WebhookHealthBreakerClosed, got.Health.Breaker)
	listed, err := c.Webhooks.List(ctx, client.ListWebhooksParams{})
	require.NoError(t, err)
	require.Equal(t, made.ID, listed.Data[0].ID)

	shown, err := c.Deliveries.Get(ctx, delivery.ID)
	require.NoError(t, err)
	require.Equal(t, delivery, shown)
	deliveries, err := c.Deliveries.List(ctx, client.ListDeliveriesParams{WebhookID: made.ID, Since: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Len(t, deliveries.Data, 1)
	event, err := c.Events.Get(ctx, delivery.EventID)
	require.NoError(t, err)
	require.Equal(t, made.ID, event.Data.(*client.Webhook).ID)
	events, err := c.Events.List(ctx, client.ListEventsParams{EventType: client.EventTypeWebhookTest})
	require.NoError(t, err)
	require.Equal(t, []client.Event{*event}, events.Data)
	replays(t, c, made.ID, delivery)

	require.NoError(t, c.Webhooks.Delete(ctx, made.ID))
	err = c.Webhooks.Delete(ctx, made.ID)
	require.True(t, client.IsCode(err, client.CodeNotFound), err)
}

func replays(t *testing.T, c *client.Client, webhook string, delivery *client.Delivery) {
	t.Helper()
	ctx := t.Context()
	preview, err := c.Deliveries.PreviewReplay(ctx, delivery.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, preview.Matched)
	preview, err = c.Events.PreviewReplay(ctx, delivery.EventID, client.NewEventReplay{WebhookID: webhook})
	require.NoError(t, err)
	require.EqualValues(t, 1, preview.Matched)
	since := time.Now().Add(-time.Hour)
	preview, err = c.Webhooks.PreviewReplay(ctx, webhook, client.NewWebhookReplay{
		Since: since, EventTypes: []client.EventType{client.EventTypeAll},
	})
	require.NoError(t, err)
	require.Zero(t, preview.Missing, "it subscribes to nothing that happened")
	preview, err = c.Replays.Preview(ctx, client.NewReplay{})
	require.NoError(t, err)
	require.Zero(t, preview.Matched, "nothing has failed")

	again, err := c.Deliveries.Replay(ctx, delivery.ID)
	require.NoError(t, err)
	require.Equal(t, delivery.ID, *again.DeliveryID)
	once, err := c.Events.Replay(ctx, delivery.EventID, client.NewEventReplay{})
	require.NoError(t, err)
	require.Equal(t, client.ReplayStatusCompleted, once.Status)
	failed, err := c.Webhooks.Replay(ctx, webhook, client.NewWebhookReplay{FailedOnly: true, Rate: 10})
	require.NoError(t, err)
	require.Equal(t, webhook, *failed.WebhookID)
	all, err := c.Replays.Create(ctx, client.NewReplay{})
	require.NoError(t, err)
	_, err = c.Replays.Cancel(ctx, all.ID)
	if err != nil { // the dispatcher was faster
		require.True(t, client.IsCode(err, client.CodeInvalidState), err)
	}
	got, err := c.Replays.Get(ctx, once.ID)
	require.NoError(t, err)
	require.Equal(t, once, got)
	page, err := c.Replays.List(ctx, client.ListReplaysParams{Limit: 4})
	require.NoError(t, err)
	ids := []string{}
	for _, replay := range page.Data {
		ids = append(ids, replay.ID)
	}
	require.Equal(t, []string{all.ID, failed.ID, once.ID, again.ID}, ids)
}

func keys(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	end := time.Now().Add(time.Hour)
	made, err := c.APIKeys.Create(ctx, client.NewAPIKey{Name: "reports", Scopes: []client.Scope{client.ScopeAccountsRead}, ExpiresAt: end})
	require.NoError(t, err)
	require.WithinDuration(t, end, *made.ExpiresAt, time.Microsecond)
	rotated, err := c.APIKeys.Rotate(ctx, made.ID, client.APIKeyRotation{GracePeriodSeconds: new(3600)})
	require.NoError(t, err)
	require.NotEqual(t, made.Key, rotated.Key)
	require.NoError(t, c.APIKeys.Revoke(ctx, made.ID))
	require.NoError(t, c.APIKeys.Revoke(ctx, made.ID), "it is revoked already")
	got, err := c.APIKeys.Get(ctx, made.ID)
	require.NoError(t, err)
	require.NotNil(t, got.RevokedAt)
	require.Empty(t, got.Key)
	page, err := c.APIKeys.List(ctx, client.ListAPIKeysParams{})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(page.Data, func(key client.APIKey) bool { return key.ID == rotated.ID }))
	_, err = c.APIKeys.Create(ctx, client.NewAPIKey{Name: "none", Scopes: []client.Scope{}})
	require.True(t, client.IsCode(err, client.CodeValidationFailed), "an empty list is not the default: %v", err)
}

// TestAnswersAreReadWhole: nothing that the document describes is lost on the way
// through the client's types, whatever its value is.
func TestAnswersAreReadWhole(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI())
	require.NoError(t, err)
	for name, into := range map[string]any{
		"account": &client.Account{}, "payment": &client.Transaction{}, "hold": &client.Hold{}, "webhook": &client.Webhook{},
		"delivery": &client.Delivery{}, "api-key": &client.APIKey{}, "replay": &client.Replay{}, "balance": &client.Balance{},
		"past-balance": &client.PastBalance{}, "business": &client.Business{},
		"event-hold-expired": &client.Event{}, "event-webhook-test": &client.Event{}, "event-transaction-reversed": &client.Event{},
	} {
		require.Contains(t, document.Components.Examples, name)
		var text bytes.Buffer
		require.NoError(t, json.NewEncoder(&text).Encode(document.Components.Examples[name].Value.Value))
		decoder := json.NewDecoder(bytes.NewReader(text.Bytes()))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(into), name)
		again, err := json.Marshal(into)
		require.NoError(t, err)
		require.JSONEq(t, wholeSeconds(text.String()), wholeSeconds(string(again)), name)
	}
}

var fraction = regexp.MustCompile(`(\.[0-9]*?)0*Z"`)

// wholeSeconds leaves out the zeros that a time ends with.
func wholeSeconds(text string) string {
	return strings.ReplaceAll(fraction.ReplaceAllString(text, `${1}Z"`), `.Z"`, `Z"`)
}
