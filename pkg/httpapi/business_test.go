package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
	"github.com/txn-service/txn/pkg/wire"
)

func TestShowBusiness(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	var business wire.Business
	res.Decode(t, &business)
	require.Equal(t, api.Business, business.ID)
	require.Equal(t, "Acme", business.Name)

	other := api.NewTenant(t)
	api.Do(t, "GET", "/v1/business", nil, apitest.Key(other.Key)).Decode(t, &business)
	require.Equal(t, other.Business, business.ID)
}

// A suspended business reads and writes nothing, gets no webhook, and has all of it
// back when it is resumed; its neighbour notices neither.
func TestASuspendedBusinessWaits(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	neighbour := apitest.Key(api.NewTenant(t).Key)
	receiver := newEndpoint(t)
	dispatchFor(t, api)
	createWebhook(t, api, receiver.URL, "")
	account := openAccount(t, api, 100)
	require.Eventually(t, func() bool { return len(receiver.received()) == 2 }, 20*time.Second, 10*time.Millisecond)

	change := func(do func(tx *gorm.DB) (models.Business, error)) {
		t.Helper()
		require.NoError(t, api.DB.InTx(t.Context(), func(tx *gorm.DB) error { _, err := do(tx); return err }))
	}
	become := func(status int) {
		t.Helper()
		require.Eventually(t, func() bool { return api.Do(t, "GET", "/v1/business", nil).Status == status }, 5*time.Second, 10*time.Millisecond)
	}
	change(func(tx *gorm.DB) (models.Business, error) {
		return tenant.Suspend(t.Context(), tx, apitest.Operator, api.Business)
	})
	// A movement that the API took within the second before it knew.
	api.Do(t, "POST", "/v1/transactions", `{"type":"credit","destination_account_id":"`+account+`","amount":1}`)
	become(http.StatusForbidden)
	for _, call := range [][3]string{
		{"GET", "/v1/accounts/" + account, ""},
		{"GET", "/v1/accounts/" + account + "/entries", ""},
		{"GET", "/v1/webhooks", ""},
		{"POST", "/v1/accounts", `{"name":"x"}`},
		{"POST", "/v1/transactions", `{"type":"credit","destination_account_id":"` + account + `","amount":1}`},
		{"PATCH", "/v1/accounts/" + account, `{"name":"x"}`},
		{"DELETE", "/v1/webhooks/wh_01h455vb4pex5vsknk084sn02q", ""},
	} {
		var body any
		if call[2] != "" {
			body = call[2]
		}
		api.Do(t, call[0], call[1], body).RequireProblem(t, http.StatusForbidden, errs.BusinessSuspended)
	}
	api.Do(t, "POST", "/v1/accounts", `{"name":"x"}`, neighbour).Require(t, http.StatusCreated)

	change(func(tx *gorm.DB) (models.Business, error) {
		return tenant.Resume(t.Context(), tx, apitest.Operator, api.Business)
	})
	become(http.StatusOK)
	api.Do(t, "GET", "/v1/accounts/"+account, nil).Require(t, http.StatusOK)
	before := len(api.Do(t, "GET", "/v1/webhook-events?limit=200", nil).JSON(t)["data"].([]any))
	api.Do(t, "POST", "/v1/transactions", `{"type":"credit","destination_account_id":"`+account+`","amount":1}`).Require(t, http.StatusCreated)
	require.Eventually(t, func() bool { return len(receiver.received()) == before+1 }, 20*time.Second, 10*time.Millisecond, "what waited and what is new is sent")
}
