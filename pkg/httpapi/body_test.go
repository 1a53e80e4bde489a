package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
)

// TestTheZeroIDIsUnknown looks at the one well-formed id that Go's zero value
// could be taken for: it is answered like every other id that names nothing.
func TestTheZeroIDIsUnknown(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a := openAccount(t, api, 100)
	const zero = "acct_00000000000000000000000000"
	for _, path := range []string{
		"/v1/accounts/" + zero, "/v1/accounts/" + zero + "/balance", "/v1/accounts/" + zero + "/entries",
		"/v1/transactions?account_id=" + zero, "/v1/holds?account_id=" + zero,
		"/v1/transactions?reverses_transaction_id=txn_00000000000000000000000000", "/v1/transactions?hold_id=hold_00000000000000000000000000",
		"/v1/transactions/txn_00000000000000000000000000", "/v1/holds/hold_00000000000000000000000000",
	} {
		api.Do(t, "GET", path, nil).RequireProblem(t, 404, errs.NotFound)
	}
	for path, bodies := range map[string][]string{
		"/v1/transactions": {
			transferBody(a, zero, 1), transferBody(zero, a, 1),
			fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"source_account_id":%q,"amount":1}`, a, zero),
		},
		"/v1/holds": {
			fmt.Sprintf(`{"account_id":%q,"amount":1}`, zero),
			fmt.Sprintf(`{"account_id":%q,"destination_account_id":%q,"amount":1}`, a, zero),
		},
		"/v1/transactions/batch":                         {fmt.Sprintf(`{"transactions":[%s]}`, transferBody(a, zero, 1))},
		"/v1/holds/hold_00000000000000000000000000/void": {``},
	} {
		for _, body := range bodies {
			api.Do(t, "POST", path, body).RequireProblem(t, 404, errs.NotFound)
		}
	}
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a, nil).Body), `"balance":100,"held":0`)
}

func TestABadIDIsTheFaultOfItsItem(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 100), openAccount(t, api, 0)
	batch := func(atomic bool) string {
		return fmt.Sprintf(`{"atomic":%t,"transactions":[%s,%s,%s]}`, atomic,
			transferBody(a, b, 1), transferBody(a, "txn_01h455vb4pex5vsknk084sn02q", 1), transferBody(a, b, 1))
	}
	document := api.Do(t, "POST", "/v1/transactions/batch", batch(true)).
		RequireProblem(t, 422, errs.ValidationFailed, "destination_account_id")
	require.InDelta(t, 1, document["index"], 0)
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a, nil).Body), `"balance":100`)

	independent := api.Do(t, "POST", "/v1/transactions/batch", batch(false))
	independent.Require(t, http.StatusOK)
	var results struct {
		Data []struct {
			Status      int            `json:"status"`
			Transaction map[string]any `json:"transaction"`
			Error       map[string]any `json:"error"`
		} `json:"data"`
	}
	independent.Decode(t, &results)
	require.Equal(t, []int{201, 422, 201}, []int{results.Data[0].Status, results.Data[1].Status, results.Data[2].Status})
	require.Equal(t, "validation_failed", results.Data[1].Error["code"])

	// What cannot be read goes before what is not acceptable, wherever it stands.
	api.Do(t, "POST", "/v1/transactions", `{"type":"credit","destination_account_id":"nonsense","amount":1,"sauce":1}`).
		RequireProblem(t, 400, errs.InvalidRequest, "sauce")
	api.Do(t, "POST", "/v1/holds", `{"account_id":"nonsense","amount":"1"}`).RequireProblem(t, 400, errs.InvalidRequest, "amount")
	api.Do(t, "POST", "/v1/holds", `{"account_id":{},"amount":1}`).RequireProblem(t, 400, errs.InvalidRequest, "account_id")
	api.Do(t, "POST", "/v1/holds", `{"account_id":"nonsense","amount":1}`).RequireProblem(t, 422, errs.ValidationFailed, "account_id")
}

func TestNullIsNoValue(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 100), openAccount(t, api, 0)
	hold := api.Do(t, "POST", "/v1/holds", fmt.Sprintf(`{"account_id":%q,"destination_account_id":null,"amount":50}`, a))
	hold.Require(t, http.StatusCreated)
	moved := api.Do(t, "POST", "/v1/transactions", transferBody(a, b, 10))
	moved.Require(t, http.StatusCreated)
	// A null that stands for nothing must not be taken for "all that is left".
	for _, path := range []string{
		"/v1/holds/" + hold.String(t, "id") + "/capture",
		"/v1/transactions/" + moved.String(t, "id") + "/reverse",
	} {
		api.Do(t, "POST", path, `{"amount":null}`).RequireProblem(t, 400, errs.InvalidRequest, "amount")
	}
	api.Do(t, "POST", "/v1/holds/"+hold.String(t, "id")+"/capture", `{"amount":1,"final":null}`).
		RequireProblem(t, 400, errs.InvalidRequest, "final")
	api.Do(t, "POST", "/v1/transactions/batch", fmt.Sprintf(`{"atomic":null,"transactions":[%s]}`, transferBody(a, b, 10))).
		RequireProblem(t, 400, errs.InvalidRequest, "atomic")
	require.Contains(t, string(api.Do(t, "GET", "/v1/accounts/"+a, nil).Body), `"balance":90,"held":50`)

	api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1,"metadata":{"a":"1","b":null}}`, a)).
		RequireProblem(t, 400, errs.InvalidRequest, "metadata")
	api.Do(t, "POST", "/v1/holds", fmt.Sprintf(`{"account_id":%q,"amount":1,"metadata":{"b":null}}`, a)).
		RequireProblem(t, 400, errs.InvalidRequest, "metadata")
	api.Do(t, "POST", "/v1/accounts", `{"name":"x","metadata":{"b":null}}`).RequireProblem(t, 400, errs.InvalidRequest, "metadata")
	api.Do(t, "PATCH", "/v1/accounts/"+a, `{"metadata":{"b":null}}`).RequireProblem(t, 400, errs.InvalidRequest, "metadata")
	none := api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1,"metadata":null}`, a))
	none.Require(t, http.StatusCreated)
	require.Contains(t, string(none.Body), `"metadata":{}`)
}
