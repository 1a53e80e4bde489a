package httpapi

import (
	"net/http"

	"github.com/txn-service/txn/pkg/apikey"
)

// Short names for the list.
const (
	get    = http.MethodGet
	head   = http.MethodHead
	post   = http.MethodPost
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes lists every route of the API: method, path, required scope, handler and
// what sets it apart. What is not here is answered 404, another method 405.
func (a *API) routes() []route {
	return []route{
		{get, "/health", public, a.showHealth, 0},
		{head, "/health", public, a.showHealth, 0},
		{get, "/livez", public, a.showLiveness, 0},
		{head, "/livez", public, a.showLiveness, 0},
		{get, "/readyz", public, a.showReadiness, 0},
		{head, "/readyz", public, a.showReadiness, 0},

		{get, "/openapi.yaml", public, a.showDocument, 0},
		{get, "/openapi.json", public, a.showDocumentAsJSON, 0},
		{get, "/docs", public, a.showPage, 0},
		{get, "/docs/:file", public, a.showPageFile, 0},

		{get, "/v1/business", anyScope, a.showBusiness, 0},

		{post, "/v1/accounts", apikey.AccountsWrite, a.createAccount, 0},
		{get, "/v1/accounts", apikey.AccountsRead, a.listAccounts, hasQuery | lists},
		{get, "/v1/accounts/:id", apikey.AccountsRead, a.showAccount, 0},
		{patch, "/v1/accounts/:id", apikey.AccountsWrite, a.updateAccount, 0},
		{get, "/v1/accounts/:id/balance", apikey.AccountsRead, a.showBalance, hasQuery},
		{get, "/v1/accounts/:id/entries", apikey.AccountsRead, a.listEntries, hasQuery | streams},

		{post, "/v1/transactions", apikey.TransactionsWrite, a.createTransaction, hasQuery},
		{get, "/v1/transactions", apikey.TransactionsRead, a.listTransactions, hasQuery | lists},
		{post, "/v1/transactions/batch", apikey.TransactionsWrite, a.createBatch, 0},
		{get, "/v1/transactions/:id", apikey.TransactionsRead, a.showTransaction, 0},
		{post, "/v1/transactions/:id/reverse", apikey.TransactionsWrite, a.reverseTransaction, 0},

		{post, "/v1/holds", apikey.TransactionsWrite, a.createHold, 0},
		{get, "/v1/holds", apikey.TransactionsRead, a.listHolds, hasQuery | lists},
		{get, "/v1/holds/:id", apikey.TransactionsRead, a.showHold, 0},
		{post, "/v1/holds/:id/capture", apikey.TransactionsWrite, a.captureHold, 0},
		{post, "/v1/holds/:id/void", apikey.TransactionsWrite, a.voidHold, 0},

		{post, "/v1/webhooks", apikey.WebhooksWrite, a.createWebhook, 0},
		{get, "/v1/webhooks", apikey.WebhooksRead, a.listWebhooks, hasQuery | lists},
		{get, "/v1/webhooks/:id", apikey.WebhooksRead, a.showWebhook, 0},
		{patch, "/v1/webhooks/:id", apikey.WebhooksWrite, a.updateWebhook, 0},
		{remove, "/v1/webhooks/:id", apikey.WebhooksWrite, a.deleteWebhook, 0},
		{post, "/v1/webhooks/:id/rotate-secret", apikey.WebhooksWrite, a.rotateSecret, 0},
		{post, "/v1/webhooks/:id/test", apikey.WebhooksWrite, a.testWebhook, 0},
		{post, "/v1/webhooks/:id/replay", apikey.WebhooksWrite, a.replayWebhook, hasQuery},
		{get, "/v1/webhook-events", apikey.WebhooksRead, a.listEvents, hasQuery | lists},
		{get, "/v1/webhook-events/:id", apikey.WebhooksRead, a.showEvent, 0},
		{post, "/v1/webhook-events/:id/replay", apikey.WebhooksWrite, a.replayEvent, hasQuery},
		{get, "/v1/webhook-deliveries", apikey.WebhooksRead, a.listDeliveries, hasQuery | lists},
		{get, "/v1/webhook-deliveries/:id", apikey.WebhooksRead, a.showDelivery, 0},
		{post, "/v1/webhook-deliveries/:id/replay", apikey.WebhooksWrite, a.replayDelivery, hasQuery},
		{post, "/v1/webhook-replays", apikey.WebhooksWrite, a.createReplay, hasQuery},
		{get, "/v1/webhook-replays", apikey.WebhooksRead, a.listReplays, hasQuery | lists},
		{get, "/v1/webhook-replays/:id", apikey.WebhooksRead, a.showReplay, 0},
		{post, "/v1/webhook-replays/:id/cancel", apikey.WebhooksWrite, a.cancelReplay, 0},

		{post, "/v1/api-keys", apikey.KeysManage, a.issueKey, 0},
		{get, "/v1/api-keys", apikey.KeysManage, a.listKeys, hasQuery | lists},
		{get, "/v1/api-keys/:id", apikey.KeysManage, a.showKey, 0},
		{post, "/v1/api-keys/:id/rotate", apikey.KeysManage, a.rotateKey, 0},
		{remove, "/v1/api-keys/:id", apikey.KeysManage, a.revokeKey, 0},
	}
}
