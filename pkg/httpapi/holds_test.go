package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
)

func TestHoldsOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 100), openAccount(t, api, 0)
	created := api.Do(t, "POST", "/v1/holds", fmt.Sprintf(
		`{"account_id":%q,"destination_account_id":%q,"amount":60,"currency":"USD","expires_at":"2099-01-01T00:00:00Z","metadata":{"order":"1"}}`, a, b))
	created.Require(t, http.StatusCreated)
	require.Contains(t, string(created.Body), `"amount":60,"captured_amount":0,"currency":"USD","status":"pending"`)
	hold := "/v1/holds/" + created.String(t, "id")
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a+"/balance", nil).Body), `"balance":100,"held":60,"available":40`)
	api.Do(t, "POST", "/v1/transactions", transferBody(a, b, 41)).RequireProblem(t, 422, errs.InsufficientFunds)

	captured := api.Do(t, "POST", hold+"/capture", `{"amount":20}`, apitest.IdempotencyKey("cap-1"))
	captured.Require(t, http.StatusCreated)
	require.Equal(t, created.String(t, "id"), captured.String(t, "hold_id"))
	again := api.Do(t, "POST", hold+"/capture", `{"amount":20}`, apitest.IdempotencyKey("cap-1"))
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, string(captured.Body), string(again.Body))
	api.Do(t, "POST", hold+"/capture", `{"amount":41}`).RequireProblem(t, 422, errs.ValidationFailed)
	api.Do(t, "POST", hold+"/void", nil).Require(t, http.StatusOK)
	api.Do(t, "POST", hold+"/void", nil).RequireProblem(t, 409, errs.InvalidState)
	api.Do(t, "POST", hold+"/capture", nil).RequireProblem(t, 409, errs.InvalidState)
	shown := api.Do(t, "GET", hold, nil)
	shown.Require(t, http.StatusOK)
	require.Contains(t, string(shown.Body), `"captured_amount":20,"currency":"USD","status":"voided"`)
	captures := api.Do(t, "GET", "/v1/transactions?hold_id="+created.String(t, "id"), nil)
	captures.Require(t, http.StatusOK)
	require.JSONEq(t, `{"data":[`+string(captured.Body)+`],"has_more":false,"next_cursor":null}`, string(captures.Body))
	list := api.Do(t, "GET", "/v1/holds?status=voided&account_id="+a, nil)
	list.Require(t, http.StatusOK)
	require.Contains(t, string(list.Body), created.String(t, "id"))

	whole := api.Do(t, "POST", "/v1/holds", fmt.Sprintf(`{"account_id":%q,"amount":80}`, a))
	whole.Require(t, http.StatusCreated)
	final := api.Do(t, "POST", "/v1/holds/"+whole.String(t, "id")+"/capture", `{"amount":30,"final":true}`)
	final.Require(t, http.StatusCreated)
	require.Equal(t, "debit", final.String(t, "type"))
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a+"/balance", nil).Body), `"balance":50,"held":0,"available":50`)

	for body, code := range map[string]errs.Code{
		`{"amount":1}`: errs.ValidationFailed,
		fmt.Sprintf(`{"account_id":%q,"amount":51}`, a):                                    errs.InsufficientFunds,
		fmt.Sprintf(`{"account_id":%q,"amount":1,"expires_at":"2001-01-01T00:00:00Z"}`, a): errs.ValidationFailed,
		fmt.Sprintf(`{"account_id":%q,"amount":1,"expires_at":"soon"}`, a):                 errs.ValidationFailed,
		fmt.Sprintf(`{"account_id":%q,"amount":1,"currency":"EUR"}`, a):                    errs.CurrencyMismatch,
		fmt.Sprintf(`{"account_id":%q,"amount":1,"destination_account_id":%q}`, a, a):      errs.ValidationFailed,
		`{"account_id":"acct_01h455vb4pex5vsknk084sn02q","amount":1}`:                      errs.NotFound,
	} {
		api.Do(t, "POST", "/v1/holds", body).RequireProblem(t, statusOf[code], code)
	}
	stranger := api.NewTenant(t)
	api.Do(t, "GET", hold, nil, apitest.Key(stranger.Key)).RequireProblem(t, 404, errs.NotFound)
	api.Do(t, "GET", "/v1/transactions?hold_id="+created.String(t, "id"), nil, apitest.Key(stranger.Key)).RequireProblem(t, 404, errs.NotFound)
	api.Do(t, "POST", hold+"/void", nil, apitest.Key(stranger.Key)).RequireProblem(t, 404, errs.NotFound)
}

func TestReversalsOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 100), openAccount(t, api, 0)
	original := api.Do(t, "POST", "/v1/transactions", transferBody(a, b, 100))
	original.Require(t, http.StatusCreated)
	path := "/v1/transactions/" + original.String(t, "id")
	part := api.Do(t, "POST", path+"/reverse", `{"amount":30,"description":"damaged"}`)
	part.Require(t, http.StatusCreated)
	require.Equal(t, original.String(t, "id"), part.String(t, "reverses_transaction_id"))
	require.Contains(t, string(api.Do(t, "GET", path, nil).Body), `"reversed_amount":30`)
	api.Do(t, "POST", path+"/reverse", `{"amount":71}`).RequireProblem(t, 422, errs.ValidationFailed)
	api.Do(t, "POST", path+"/reverse", nil).Require(t, http.StatusCreated)
	api.Do(t, "POST", path+"/reverse", nil).RequireProblem(t, 409, errs.InvalidState)
	// Linked both ways: each reversal names the original, which leads to them all.
	links := "/v1/transactions?reverses_transaction_id=" + original.String(t, "id")
	newest := api.Do(t, "GET", links+"&limit=1", nil)
	newest.Require(t, http.StatusOK)
	require.Contains(t, string(newest.Body), `"amount":70`)
	oldest := api.Do(t, "GET", links+"&cursor="+newest.String(t, "next_cursor"), nil)
	oldest.Require(t, http.StatusOK)
	require.Contains(t, string(oldest.Body), part.String(t, "id"))
	require.Contains(t, string(oldest.Body), `"has_more":false`)
	api.Do(t, "POST", "/v1/transactions/"+part.String(t, "id")+"/reverse", nil).RequireProblem(t, 409, errs.InvalidState)
	stranger := api.NewTenant(t)
	api.Do(t, "POST", path+"/reverse", nil, apitest.Key(stranger.Key)).RequireProblem(t, 404, errs.NotFound)
	api.Do(t, "GET", links, nil, apitest.Key(stranger.Key)).RequireProblem(t, 404, errs.NotFound)
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a+"/balance", nil).Body), `"balance":100`)
}

func TestBatchesOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 100), openAccount(t, api, 0)
	post := func(atomic bool, items ...string) *apitest.Response {
		t.Helper()
		return api.Do(t, "POST", "/v1/transactions/batch", fmt.Sprintf(`{"atomic":%t,"transactions":[%s]}`, atomic, strings.Join(items, ",")))
	}
	done := post(true, transferBody(a, b, 100), transferBody(b, a, 40))
	done.Require(t, http.StatusCreated)
	var answer struct {
		Data []map[string]any `json:"data"`
	}
	done.Decode(t, &answer)
	require.Len(t, answer.Data, 2)
	require.Regexp(t, "/1$", answer.Data[1]["idempotency_key"])

	failed := post(true, transferBody(a, b, 1), transferBody(a, b, 100)).RequireProblem(t, 422, errs.InsufficientFunds)
	require.InDelta(t, 1, failed["index"], 0)
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a+"/balance", nil).Body), `"balance":40`)

	mixed := post(false, transferBody(a, b, 1), transferBody(a, b, 100), `{"type":"credit","amount":1,"effective_at":"soon"}`)
	mixed.Require(t, http.StatusOK)
	var results struct {
		Data []struct {
			Status      int            `json:"status"`
			Transaction map[string]any `json:"transaction"`
			Error       map[string]any `json:"error"`
		} `json:"data"`
	}
	mixed.Decode(t, &results)
	require.Len(t, results.Data, 3)
	require.Equal(t, 201, results.Data[0].Status)
	require.Equal(t, "transfer", results.Data[0].Transaction["type"])
	require.Equal(t, 422, results.Data[1].Status)
	require.Equal(t, "insufficient_funds", results.Data[1].Error["code"])
	require.Equal(t, 422, results.Data[2].Status)
	require.Nil(t, results.Data[2].Transaction)

	post(true).RequireProblem(t, 422, errs.ValidationFailed)
	many := make([]string, 1001)
	for i := range many {
		many[i] = transferBody(a, b, 1)
	}
	post(true, many...).RequireProblem(t, 422, errs.ValidationFailed)
	twice := strings.TrimSuffix(transferBody(a, b, 1), "}") + `,"idempotency_key":"same"}`
	post(false, twice, twice).RequireProblem(t, 422, errs.ValidationFailed)
	post(true, strings.Replace(transferBody(a, b, 1), `"amount"`, `"sum"`, 1)).RequireProblem(t, 400, errs.InvalidRequest)
}
