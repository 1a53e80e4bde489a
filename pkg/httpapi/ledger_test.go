package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
)

// statusOf is the contract's status of each code that the tests here meet.
var statusOf = map[errs.Code]int{
	errs.InvalidRequest: 400, errs.IdempotencyKeyMissing: 400, errs.Unauthenticated: 401, errs.NotFound: 404,
	errs.MethodNotAllowed: 405, errs.AlreadyExists: 409, errs.InvalidState: 409, errs.BodyTooLarge: 413,
	errs.UnsupportedMediaType: 415, errs.ValidationFailed: 422, errs.InsufficientFunds: 422,
	errs.CurrencyMismatch: 422, errs.AccountNotActive: 422, errs.ConditionFailed: 422,
}

// openAccount opens an account in USD and funds it.
func openAccount(t *testing.T, api *apitest.API, balance int64) string {
	t.Helper()
	res := api.Do(t, "POST", "/v1/accounts", `{"name":"Main","currency":"USD"}`)
	res.Require(t, http.StatusCreated)
	id := res.String(t, "id")
	if balance > 0 {
		api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(
			`{"type":"credit","destination_account_id":%q,"amount":%d}`, id, balance)).Require(t, http.StatusCreated)
	}
	return id
}

func transferBody(from, to string, amount any) string {
	return fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":%v}`, from, to, amount)
}

func TestMoneyMovesOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 1000), openAccount(t, api, 0)

	res := api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(`{"type":"transfer","source_account_id":%q,
		"destination_account_id":%q,"amount":250,"currency":"USD","description":"rent","reference":"r-1",
		"metadata":{"order":"17"},"effective_at":"2026-01-02T03:04:05+01:00"}`, a, b), apitest.IdempotencyKey("k-1"))
	res.Require(t, http.StatusCreated)
	require.Equal(t, "k-1", res.String(t, "idempotency_key"))
	require.Equal(t, "2026-01-02T02:04:05.000000Z", res.String(t, "effective_at"))
	id := res.String(t, "id")

	again := api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(`{"metadata":{"order":"17"},"type":"transfer","source_account_id":%q,
		"destination_account_id":%q,"amount":250,"currency":"USD","description":"rent","reference":"r-1",
		"effective_at":"2026-01-02T02:04:05Z","idempotency_key":"k-1"}`, a, b), apitest.IdempotencyKey(""))
	again.Require(t, http.StatusCreated)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, string(res.Body), string(again.Body))
	require.Empty(t, res.Header.Get("Idempotent-Replayed"))

	shown := api.Do(t, "GET", "/v1/transactions/"+id, nil)
	shown.Require(t, http.StatusOK)
	require.JSONEq(t, string(res.Body), string(shown.Body))

	balance := api.Do(t, "GET", "/v1/accounts/"+a+"/balance", nil)
	balance.Require(t, http.StatusOK)
	require.Contains(t, string(balance.Body), `"balance":750,"held":0,"available":750`)
	before := api.Do(t, "GET", "/v1/accounts/"+a+"/balance?at="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), nil)
	before.Require(t, http.StatusOK)
	require.Contains(t, string(before.Body), `"balance":0`)
	require.NotContains(t, string(before.Body), `"held"`)

	preview := api.Do(t, "POST", "/v1/transactions?dry_run=true", transferBody(a, b, 750))
	preview.Require(t, http.StatusOK)
	require.Contains(t, string(preview.Body), `"balance_after":0`)
	api.Do(t, "POST", "/v1/transactions?dry_run=true", transferBody(a, b, 751)).RequireProblem(t, statusOf[errs.InsufficientFunds], errs.InsufficientFunds)
}

func TestAccountsOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "POST", "/v1/accounts", `{"name":"Tills","currency":"JPY","reference":"till","overdraft_limit":null,"metadata":{"shop":"3"}}`,
		apitest.IdempotencyKey("open-1"))
	res.Require(t, http.StatusCreated)
	id := res.String(t, "id")
	require.Contains(t, string(res.Body), `"currency_exponent":0,"status":"active","balance":0,"held":0,"available":0,"overdraft_limit":null,"version":0`)
	again := api.Do(t, "POST", "/v1/accounts", `{"name":"Tills","currency":"JPY","reference":"till","overdraft_limit":null,"metadata":{"shop":"3"}}`,
		apitest.IdempotencyKey("open-1"))
	again.Require(t, http.StatusCreated)
	require.Equal(t, string(res.Body), string(again.Body))
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))

	byDefault := api.Do(t, "POST", "/v1/accounts", `{"name":"Default"}`)
	byDefault.Require(t, http.StatusCreated)
	require.Contains(t, string(byDefault.Body), `"currency":"USD","currency_exponent":2`)
	require.Contains(t, string(byDefault.Body), `"overdraft_limit":0`)
	api.Do(t, "POST", "/v1/accounts", `{"name":"Twin","reference":"till"}`).RequireProblem(t, statusOf[errs.AlreadyExists], errs.AlreadyExists)

	patched := api.Do(t, "PATCH", "/v1/accounts/"+id, `{"name":"Till 3","reference":null,"overdraft_limit":500,"status":"frozen"}`)
	patched.Require(t, http.StatusOK)
	require.Contains(t, string(patched.Body), `"name":"Till 3","reference":null`)
	require.Contains(t, string(patched.Body), `"overdraft_limit":500`)
	require.Contains(t, string(patched.Body), `"metadata":{"shop":"3"}`)

	list := api.Do(t, "GET", "/v1/accounts?limit=1", nil)
	list.Require(t, http.StatusOK)
	require.Contains(t, string(list.Body), `"has_more":true`)
	next := api.Do(t, "GET", "/v1/accounts?limit=1&cursor="+list.String(t, "next_cursor"), nil)
	next.Require(t, http.StatusOK)
	require.Contains(t, string(next.Body), id)
	require.Contains(t, string(next.Body), `"has_more":false,"next_cursor":null`)
	frozen := api.Do(t, "GET", "/v1/accounts?status=frozen&currency=JPY", nil)
	require.Contains(t, string(frozen.Body), id)

	api.Do(t, "PATCH", "/v1/accounts/"+id, `{"status":"closed"}`).Require(t, http.StatusOK)
	api.Do(t, "PATCH", "/v1/accounts/"+id, `{"status":"active"}`).RequireProblem(t, statusOf[errs.InvalidState], errs.InvalidState)
	api.Do(t, "GET", "/v1/accounts/"+id, nil).Require(t, http.StatusOK)
	funded := openAccount(t, api, 5)
	api.Do(t, "PATCH", "/v1/accounts/"+funded, `{"status":"closed"}`).RequireProblem(t, statusOf[errs.InvalidState], errs.InvalidState)
}

func TestStatementIsPagedAndExported(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a := openAccount(t, api, 0)
	for i := range 5 {
		api.Do(t, "POST", "/v1/transactions", fmt.Sprintf(
			`{"type":"credit","destination_account_id":%q,"amount":%d}`, a, i+1)).Require(t, http.StatusCreated)
	}
	path := "/v1/accounts/" + a + "/entries"
	first := api.Do(t, "GET", path+"?limit=3", nil)
	first.Require(t, http.StatusOK)
	require.Contains(t, string(first.Body), `"data":[{"account_id":"`+a+`","sequence":5,`)
	second := api.Do(t, "GET", path+"?limit=3&cursor="+first.String(t, "next_cursor"), nil)
	second.Require(t, http.StatusOK)
	require.Contains(t, string(second.Body), `"data":[{"account_id":"`+a+`","sequence":2,`)
	require.Contains(t, string(second.Body), `"has_more":false`)

	csv := api.Do(t, "GET", path, nil, apitest.Header("Accept", "text/csv"))
	csv.Require(t, http.StatusOK)
	require.Equal(t, "text/csv; charset=utf-8", csv.Header.Get("Content-Type"))
	lines := strings.Split(strings.TrimSpace(string(csv.Body)), "\n")
	require.Len(t, lines, 6)
	require.Equal(t, "sequence,transaction_id,amount,balance_after,created_at", lines[0])
	require.True(t, strings.HasPrefix(lines[1], "5,txn_"), lines[1])
	ndjson := api.Do(t, "GET", path, nil, apitest.Header("Accept", "application/x-ndjson"))
	ndjson.Require(t, http.StatusOK)
	require.Len(t, strings.Split(strings.TrimSpace(string(ndjson.Body)), "\n"), 5)
	for accept, want := range map[string]string{
		"":                                    "application/json",
		"*/*":                                 "application/json",
		"text/html":                           "application/json",
		"TEXT/CSV; charset=utf-8":             "text/csv; charset=utf-8",
		"text/html, text/csv":                 "text/csv; charset=utf-8",
		"application/json, text/csv":          "application/json",
		"text/csv, application/json":          "text/csv; charset=utf-8",
		"text/csv;q=0.1, application/json":    "application/json",
		"application/json;q=0.5, text/csv":    "text/csv; charset=utf-8",
		"text/csv;q=0":                        "application/json",
		"text/csv;q=x, */*;q=0.1":             "application/json",
		"text/csv;q=.2, application/x-ndjson": "application/x-ndjson; charset=utf-8",
	} {
		shown := api.Do(t, "GET", path, nil, apitest.Header("Accept", accept))
		shown.Require(t, http.StatusOK)
		require.Equal(t, want, shown.Header.Get("Content-Type"), accept)
	}
	api.Do(t, "GET", path+"?limit=3", nil, apitest.Header("Accept", "text/csv")).RequireProblem(t, statusOf[errs.InvalidRequest], errs.InvalidRequest)
	api.Do(t, "GET", path+"?cursor=AAAA", nil).RequireProblem(t, statusOf[errs.InvalidRequest], errs.InvalidRequest)
}

func TestBadMovementsChangeNothing(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a, b := openAccount(t, api, 1000), openAccount(t, api, 0)
	frozen := openAccount(t, api, 100)
	api.Do(t, "PATCH", "/v1/accounts/"+frozen, `{"status":"frozen"}`).Require(t, http.StatusOK)
	stranger := api.NewTenant(t)
	foreignAccount := api.Do(t, "POST", "/v1/accounts", `{"name":"Foreign"}`, apitest.Key(stranger.Key))
	foreignAccount.Require(t, http.StatusCreated)
	foreign := foreignAccount.String(t, "id")
	euros := api.Do(t, "POST", "/v1/accounts", `{"name":"EUR","currency":"EUR"}`).String(t, "id")
	unknown := "acct_01h455vb4pex5vsknk084sn02q"
	transaction := "txn_01h455vb4pex5vsknk084sn02q"
	base := transferBody(a, b, 1)
	with := func(field string) string { return strings.TrimSuffix(base, "}") + "," + field + "}" }

	state := func() string {
		text := string(api.Do(t, "GET", "/v1/transactions?limit=200", nil).Body)
		for _, id := range []string{a, b, frozen} {
			text += string(api.Do(t, "GET", "/v1/accounts/"+id, nil).Body)
		}
		return text
	}
	before := state()
	cases := map[string]struct {
		body    string
		code    errs.Code
		options []apitest.Option
	}{
		"malformed":              {`{"type":`, errs.InvalidRequest, nil},
		"trailing":               {base + `{}`, errs.InvalidRequest, nil},
		"no object":              {`[]`, errs.InvalidRequest, nil},
		"empty":                  {``, errs.InvalidRequest, nil},
		"unknown field":          {with(`"sauce":1`), errs.InvalidRequest, nil},
		"duplicate field":        {with(`"amount":1`), errs.InvalidRequest, nil},
		"other case":             {strings.Replace(base, "amount", "Amount", 1), errs.InvalidRequest, nil},
		"invalid UTF-8":          {with("\"description\":\"\xff\""), errs.InvalidRequest, nil},
		"float":                  {transferBody(a, b, "1.0"), errs.InvalidRequest, nil},
		"exponent":               {transferBody(a, b, "1e2"), errs.InvalidRequest, nil},
		"string amount":          {transferBody(a, b, `"1"`), errs.InvalidRequest, nil},
		"null amount":            {transferBody(a, b, "null"), errs.InvalidRequest, nil},
		"array amount":           {transferBody(a, b, "[]"), errs.InvalidRequest, nil},
		"2^63":                   {transferBody(a, b, "9223372036854775808"), errs.InvalidRequest, nil},
		"number for a string":    {with(`"description":5`), errs.InvalidRequest, nil},
		"metadata of numbers":    {with(`"metadata":{"a":1}`), errs.InvalidRequest, nil},
		"2^53":                   {transferBody(a, b, "9007199254740992"), errs.ValidationFailed, nil},
		"2^63-1":                 {transferBody(a, b, "9223372036854775807"), errs.ValidationFailed, nil},
		"zero":                   {transferBody(a, b, "0"), errs.ValidationFailed, nil},
		"negative":               {transferBody(a, b, "-5"), errs.ValidationFailed, nil},
		"no amount":              {`{"type":"credit","destination_account_id":"` + b + `"}`, errs.ValidationFailed, nil},
		"no type":                {`{"destination_account_id":"` + b + `","amount":1}`, errs.ValidationFailed, nil},
		"bad effective_at":       {with(`"effective_at":"yesterday"`), errs.ValidationFailed, nil},
		"control characters":     {with(`"description":"a\u0000b"`), errs.ValidationFailed, nil},
		"long description":       {with(`"description":"` + strings.Repeat("x", 1001) + `"`), errs.ValidationFailed, nil},
		"long metadata value":    {with(`"metadata":{"a":"` + strings.Repeat("x", 501) + `"}`), errs.ValidationFailed, nil},
		"bad currency":           {with(`"currency":"usd"`), errs.ValidationFailed, nil},
		"no such id":             {transferBody(a, "nonsense", 1), errs.ValidationFailed, nil},
		"wrong prefix":           {transferBody(a, transaction, 1), errs.ValidationFailed, nil},
		"same account":           {transferBody(a, a, 1), errs.ValidationFailed, nil},
		"credit with source":     {strings.Replace(base, "transfer", "credit", 1), errs.ValidationFailed, nil},
		"unknown account":        {transferBody(a, unknown, 1), errs.NotFound, nil},
		"foreign account":        {transferBody(a, foreign, 1), errs.NotFound, nil},
		"unfunded":               {transferBody(a, b, 1001), errs.InsufficientFunds, nil},
		"frozen source":          {transferBody(frozen, b, 1), errs.AccountNotActive, nil},
		"frozen destination":     {transferBody(a, frozen, 1), errs.AccountNotActive, nil},
		"other currency":         {with(`"currency":"EUR"`), errs.CurrencyMismatch, nil},
		"two currencies":         {transferBody(a, euros, 1), errs.CurrencyMismatch, nil},
		"condition":              {with(`"conditions":{"source_version":7}`), errs.ConditionFailed, nil},
		"unknown condition":      {with(`"conditions":{"sauce":7}`), errs.InvalidRequest, nil},
		"no key":                 {base, errs.IdempotencyKeyMissing, []apitest.Option{apitest.IdempotencyKey("")}},
		"long key":               {base, errs.InvalidRequest, []apitest.Option{apitest.IdempotencyKey(strings.Repeat("k", 256))}},
		"conflicting keys":       {with(`"idempotency_key":"other"`), errs.InvalidRequest, nil},
		"key that is no ASCII":   {with(`"idempotency_key":"schlüssel"`), errs.InvalidRequest, []apitest.Option{apitest.IdempotencyKey("")}},
		"no content type":        {base, errs.UnsupportedMediaType, []apitest.Option{apitest.Header("Content-Type", "")}},
		"wrong content type":     {base, errs.UnsupportedMediaType, []apitest.Option{apitest.Header("Content-Type", "text/plain")}},
		"too large":              {with(`"description":"` + strings.Repeat("x", 1<<20) + `"`), errs.BodyTooLarge, nil},
		"no API key":             {base, errs.Unauthenticated, []apitest.Option{apitest.Key("")}},
		"garbled API key":        {base, errs.Unauthenticated, []apitest.Option{apitest.Key(api.Key + "x")}},
		"another tenant's key":   {base, errs.NotFound, []apitest.Option{apitest.Key(stranger.Key)}},
		"deep JSON":              {with(`"metadata":` + strings.Repeat("[", 20000)), errs.InvalidRequest, nil},
		"metadata is an array":   {with(`"metadata":[]`), errs.InvalidRequest, nil},
		"type is a number":       {strings.Replace(base, `"transfer"`, "1", 1), errs.InvalidRequest, nil},
		"id is a number":         {`{"type":"credit","destination_account_id":5,"amount":1}`, errs.InvalidRequest, nil},
		"bad id, trailing data":  {transferBody(a, "nonsense", 1) + "x", errs.InvalidRequest, nil},
		"empty reference":        {with(`"reference":""`), errs.ValidationFailed, nil},
		"too much metadata":      {with(`"metadata":{` + manyPairs(51) + `}`), errs.ValidationFailed, nil},
		"conditions on a credit": {`{"type":"credit","destination_account_id":"` + b + `","amount":1,"conditions":{"source_version":1}}`, errs.ValidationFailed, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api.Do(t, "POST", "/v1/transactions", c.body, c.options...).RequireProblem(t, statusOf[c.code], c.code)
		})
	}
	api.Do(t, "POST", "/v1/transactions?dry_run=maybe", base).RequireProblem(t, statusOf[errs.InvalidRequest], errs.InvalidRequest)
	api.Do(t, "POST", "/v1/transactions?sauce=1", base).RequireProblem(t, statusOf[errs.InvalidRequest], errs.InvalidRequest)
	require.Equal(t, before, state())
}

func manyPairs(n int) string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	return strings.Join(pairs, ",")
}

func TestBadReads(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	a := openAccount(t, api, 10)
	for path, code := range map[string]errs.Code{
		"/v1/accounts/nonsense":                                           errs.NotFound,
		"/v1/accounts/txn_01h455vb4pex5vsknk084sn02q":                     errs.NotFound,
		"/v1/accounts/acct_01h455vb4pex5vsknk084sn02q":                    errs.NotFound,
		"/v1/accounts/acct_01h455vb4pex5vsknk084sn02q/balance":            errs.NotFound,
		"/v1/accounts/acct_01h455vb4pex5vsknk084sn02q/entries":            errs.NotFound,
		"/v1/transactions/txn_01h455vb4pex5vsknk084sn02q":                 errs.NotFound,
		"/v1/transactions?account_id=acct_01h455vb4pex5vsknk084sn02q":     errs.NotFound,
		"/v1/holds?account_id=acct_01h455vb4pex5vsknk084sn02q":            errs.NotFound,
		"/v1/webhook-deliveries?webhook_id=wh_01h455vb4pex5vsknk084sn02q": errs.NotFound,
		"/v1/accounts?limit=0":                                            errs.InvalidRequest,
		"/v1/accounts?limit=201":                                          errs.InvalidRequest,
		"/v1/accounts?limit=x":                                            errs.InvalidRequest,
		"/v1/accounts?cursor=garbage":                                     errs.InvalidRequest,
		"/v1/accounts?status=warm":                                        errs.InvalidRequest,
		"/v1/accounts?sauce=1":                                            errs.InvalidRequest,
		"/v1/transactions?account_id=txn_01h455vb4pex5vsknk084sn02q":      errs.InvalidRequest,
		"/v1/transactions?created_after=yesterday":                        errs.InvalidRequest,
		"/v1/transactions?type=gift":                                      errs.InvalidRequest,
		"/v1/accounts/" + a + "/balance?at=now":                           errs.InvalidRequest,
		"/v1/accounts/" + a + "/entries?limit=0":                          errs.InvalidRequest,
		"/v1/nothing":                                                     errs.NotFound,
		"/nothing":                                                        errs.NotFound,
	} {
		api.Do(t, "GET", path, nil).RequireProblem(t, statusOf[code], code)
	}
	api.Do(t, "DELETE", "/v1/accounts/"+a, nil).RequireProblem(t, statusOf[errs.MethodNotAllowed], errs.MethodNotAllowed)
}
