package httpapi_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// requestBodies are acceptable bodies of the operations that take one, by operation
// id, in which {kind} stands for an id of the caller's own. An operation that is
// new in the document fails the tests here until it has a line.
var requestBodies = map[string][]string{
	"createAccount": {`{"name":"Another"}`},
	"updateAccount": {`{"name":"Renamed"}`},
	"createTransaction": {
		`{"type":"transfer","amount":1,"source_account_id":"{acct}","destination_account_id":"{acct2}"}`,
		`{"type":"credit","amount":1,"destination_account_id":"{acct}"}`,
		`{"type":"debit","amount":1,"source_account_id":"{acct}"}`,
	},
	"createBatch": {
		`{"transactions":[{"type":"transfer","amount":1,"source_account_id":"{acct}","destination_account_id":"{acct2}"}]}`,
		`{"atomic":false,"transactions":[{"type":"transfer","amount":1,"source_account_id":"{acct}","destination_account_id":"{acct2}"}]}`,
	},
	"reverseTransaction":  {`{"amount":1}`},
	"createHold":          {`{"account_id":"{acct}","destination_account_id":"{acct2}","amount":1}`, `{"account_id":"{acct}","amount":1}`},
	"captureHold":         {`{"amount":1}`},
	"voidHold":            {`{}`},
	"createWebhook":       {`{"url":"http://127.0.0.1:9/another"}`},
	"updateWebhook":       {`{"description":"Renamed"}`},
	"rotateWebhookSecret": {`{"grace_period_seconds":60}`},
	"testWebhook":         {`{}`},
	"replayWebhook":       {`{}`, `{"since":"2026-01-01T00:00:00Z"}`},
	"replayEvent":         {`{"webhook_id":"{wh}"}`, `{}`},
	"replayDelivery":      {`{}`},
	"createReplay":        {`{"webhook_id":"{wh}"}`, `{"webhook_id":"{wh}","since":"2026-01-01T00:00:00Z"}`},
	"cancelReplay":        {`{}`},
	"createAPIKey":        {`{"name":"Another","scopes":["accounts:read"]}`},
	"rotateAPIKey":        {`{}`},
}

// operation is one of the document that needs an API key, with one of its bodies.
type operation struct {
	*openapi3.Operation

	method, path string
	// scope is empty when any key will do.
	scope apikey.Scope
	// body is empty for an operation that takes none.
	body string
}

func (o operation) String() string { return strings.TrimSpace(o.method + " " + o.path + " " + o.body) }

// position is a place of a request where an id of a kind stands: "path", a query
// parameter, or the way to a member of the body.
type position struct {
	query string
	body  []string
	kind  string
}

func (p position) String() string {
	switch {
	case p.query != "":
		return "?" + p.query
	case p.body != nil:
		return strings.Join(p.body, ".")
	default:
		return "path"
	}
}

// guarded lists what the document has under /v1, once per body, and what deletes
// last.
func guarded(t *testing.T) []operation {
	t.Helper()
	var operations []operation
	for path, item := range apitest.Contract(t).Document.Paths.Map() {
		for method, o := range item.Operations() {
			if !strings.HasPrefix(path, "/v1/") {
				continue
			}
			scope, _ := o.Extensions["x-required-scope"].(string)
			bodies := []string{""}
			if o.RequestBody != nil {
				require.Contains(t, requestBodies, o.OperationID, "what does it take?")
				bodies = requestBodies[o.OperationID]
			}
			for _, body := range bodies {
				operations = append(operations, operation{o, method, path, apikey.Scope(scope), body})
			}
		}
	}
	require.GreaterOrEqual(t, len(operations), 47)
	slices.SortFunc(operations, func(a, b operation) int { return strings.Compare(a.path+a.method+a.body, b.path+b.method+b.body) })
	deletes := func(o operation) bool { return o.method == http.MethodDelete }
	return slices.Concat(slices.DeleteFunc(slices.Clone(operations), deletes),
		slices.DeleteFunc(operations, func(o operation) bool { return !deletes(o) }))
}

// positions lists where ids stand, by the patterns of the schemas.
func (o operation) positions(t *testing.T) []position {
	t.Helper()
	var found []position
	item := apitest.Contract(t).Document.Paths.Value(o.path)
	for _, p := range slices.Concat(item.Parameters, o.Parameters) {
		kind := kindOf(p.Value.Schema.Value)
		switch {
		case p.Value.In == "path":
			require.NotEmpty(t, kind, "%s %s has no kind of id", o.method, o.path)
			found = append(found, position{kind: kind})
		case kind != "" && p.Value.In == "query":
			found = append(found, position{query: p.Value.Name, kind: kind})
		default:
			require.False(t, strings.HasSuffix(p.Value.Name, "_id"), "%s has no kind of id", p.Value.Name)
		}
	}
	if o.RequestBody != nil {
		schema := o.RequestBody.Value.Content.Get("application/json").Schema
		found = append(found, members(t, schema.Value, nil)...)
	}
	return found
}

func members(t *testing.T, schema *openapi3.Schema, at []string) []position {
	t.Helper()
	require.Empty(t, slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf), "%v: these are not looked into", at)
	var found []position
	if kind := kindOf(schema); kind != "" {
		found = append(found, position{body: at, kind: kind})
	} else if len(at) > 0 {
		require.False(t, strings.HasSuffix(at[len(at)-1], "_id"), "%v has no kind of id", at)
	}
	for name, property := range schema.Properties {
		found = append(found, members(t, property.Value, append(slices.Clone(at), name))...)
	}
	if schema.Items != nil {
		found = append(found, members(t, schema.Items.Value, append(slices.Clone(at), "0"))...)
	}
	return found
}

// kindOf returns the prefix of the ids that a schema describes.
func kindOf(schema *openapi3.Schema) string {
	prefix, _, isID := strings.Cut(strings.TrimPrefix(schema.Pattern, "^"), "_[0-7]")
	if !isID {
		return ""
	}
	return prefix
}

// belongings are ids of one business, by kind, and a key that may do everything.
type belongings struct {
	apitest.Tenant
	ids map[string]string
}

// furnish gives the tenant one of everything, without a dispatcher at work.
func furnish(t *testing.T, api *apitest.API) belongings {
	t.Helper()
	own := belongings{Tenant: api.NewTenant(t), ids: make(map[string]string)}
	own.Key = api.IssueKey(t, own.Business, apikey.AllScopes()...)
	do := func(method, path string, body any) *apitest.Response {
		return api.Do(t, method, path, body, apitest.Key(own.Key))
	}
	create := func(kind, path, body string) {
		own.ids[kind] = do("POST", path, own.fill(body)).Require(t, http.StatusCreated).String(t, "id")
	}
	create("acct", "/v1/accounts", `{"name":"A","reference":"main","metadata":{"a":"1"}}`)
	create("acct2", "/v1/accounts", `{"name":"B"}`)
	create("txn", "/v1/transactions", `{"type":"credit","amount":1000,"destination_account_id":"{acct}","reference":"first"}`)
	create("hold", "/v1/holds", `{"account_id":"{acct}","amount":10}`)
	create("wh", "/v1/webhooks", `{"url":"http://127.0.0.1:9/hook"}`)
	do("PATCH", "/v1/webhooks/"+own.ids["wh"], `{"status":"paused"}`).Require(t, http.StatusOK)
	own.ids["dlv"] = do("POST", "/v1/webhooks/"+own.ids["wh"]+"/test", nil).Require(t, http.StatusOK).String(t, "id")
	own.ids["evt"] = do("GET", "/v1/webhook-deliveries/"+own.ids["dlv"], nil).Require(t, http.StatusOK).String(t, "event_id")
	own.ids["rpl"] = do("POST", "/v1/webhook-replays", own.fill(`{"webhook_id":"{wh}","since":"2026-01-01T00:00:00Z"}`)).String(t, "id")
	create("key", "/v1/api-keys", `{"name":"spare","scopes":["accounts:read"]}`)
	return own
}

// fill puts ids in the place of {kind}.
func (b belongings) fill(text string) string {
	for kind, id := range b.ids {
		text = strings.ReplaceAll(text, "{"+kind+"}", id)
	}
	return text
}

// request is an operation's own request, with an id put at one position.
func (b belongings) request(t *testing.T, o operation, at position, id string) (target string, body any) {
	t.Helper()
	target = o.path
	for _, p := range o.positions(t) {
		if p.query != "" || p.body != nil {
			continue
		}
		own := b.ids[p.kind]
		if at.query == "" && at.body == nil && id != "" {
			own = id
		}
		target = strings.ReplaceAll(target, "{id}", own)
	}
	if at.query != "" {
		target += "?" + url.Values{at.query: {id}}.Encode()
	}
	if o.body == "" {
		return target, nil
	}
	var object any
	require.NoError(t, json.Unmarshal([]byte(b.fill(o.body)), &object))
	if at.body != nil {
		put(t, object, at.body, id)
	}
	return target, object
}

// has reports whether the operation's own body has something at a position, or may
// have: only transactions say by their type which accounts they have.
func (o operation) has(at position) bool {
	if !strings.Contains(o.body, `"type":`) {
		return true
	}
	return strings.Contains(o.body, `"`+at.body[len(at.body)-1]+`":`)
}

func put(t *testing.T, in any, at []string, id string) {
	t.Helper()
	switch in := in.(type) {
	case []any:
		put(t, in[0], at[1:], id)
	case map[string]any:
		if len(at) == 1 {
			in[at[0]] = id
			return
		}
		put(t, in[at[0]], at[1:], id)
	default:
		require.Fail(t, "no such member", "%v", at)
	}
}

// contents is every row of the database, but for two things that callers cause
// about themselves: uses of keys, which are written behind, and what became of
// independent batches, which is kept even if all their items were refused.
func contents(t *testing.T, api *apitest.API) map[string]string {
	t.Helper()
	rows, err := api.DB.Pool.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables
		WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	require.NoError(t, err)
	digests := make(map[string]string)
	for rows.Next() {
		var table string
		require.NoError(t, rows.Scan(&table))
		digests[table] = ""
	}
	require.NoError(t, rows.Err())
	require.Greater(t, len(digests), 12)
	for table := range digests {
		var digest string
		require.NoError(t, api.DB.Pool.QueryRow(t.Context(), fmt.Sprintf(
			`SELECT md5(coalesce(string_agg(r, E'\n' ORDER BY r), '')) FROM (
				SELECT (to_jsonb(t) - 'last_used_at')::text AS r FROM %s t WHERE to_jsonb(t)->>'scope' IS DISTINCT FROM $1) x`, table),
			models.ScopeBatch).Scan(&digest))
		digests[table] = digest
	}
	return digests
}

// normal is an answer without what tells two requests apart.
func normal(t *testing.T, res *apitest.Response, id string) string {
	t.Helper()
	request := res.Header.Get("X-Request-Id")
	require.NotEmpty(t, request)
	header := res.Header.Clone()
	header.Del("Date")
	var text strings.Builder
	fmt.Fprintln(&text, res.Status)
	require.NoError(t, header.Write(&text))
	text.Write(res.Body)
	return strings.NewReplacer(id, "ID", request, "REQUEST").Replace(text.String())
}

// unknownID is well formed and names nothing.
func unknownID(kind string) string { return kind + "_01h455vb4pex5vsknk084sn02q" }

// Another business's id is answered in every place like one that does not exist,
// and nothing changes (P6).
func TestNoRequestReachesAnotherBusiness(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	caller, stranger := furnish(t, api), furnish(t, api)
	before := contents(t, api)
	positions := 0
	for _, o := range guarded(t) {
		for _, at := range o.positions(t) {
			if at.body != nil && !o.has(at) {
				continue // of another kind of body
			}
			positions++
			ask := func(id string) *apitest.Response {
				target, body := caller.request(t, o, at, id)
				return api.Do(t, o.method, target, body, apitest.Key(caller.Key))
			}
			theirs, unknown := stranger.ids[at.kind], unknownID(at.kind)
			require.NotEmpty(t, theirs, "the stranger has no %s", at.kind)
			foreign, none := ask(theirs), ask(unknown)
			require.Equal(t, normal(t, none, unknown), normal(t, foreign, theirs), "%s, %s", o, at)
			require.Contains(t, []int{http.StatusNotFound, http.StatusOK}, foreign.Status, "%s, %s: %s", o, at, foreign.Body)
		}
	}
	require.Greater(t, positions, 45)
	require.Equal(t, before, contents(t, api))

	// The same requests with the caller's own ids are none that nobody could make.
	for _, o := range guarded(t) {
		target, body := caller.request(t, o, position{}, "")
		res := api.Do(t, o.method, target, body, apitest.Key(caller.Key))
		require.True(t, res.Status < 300 || res.Status == http.StatusConflict, "%s: %d %s", o, res.Status, res.Body)
	}
}

// What names things otherwise than by ids, or not at all, shows nothing of another
// business (P6): lists, references, idempotency keys, metadata and cursors.
func TestNoListShowsAnotherBusiness(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	caller, stranger := furnish(t, api), furnish(t, api)
	for _, kind := range []string{"txn", "hold"} { // so that every list has a next page
		path := map[string]string{"txn": "/v1/transactions", "hold": "/v1/holds"}[kind]
		body := map[string]string{"txn": `{"type":"credit","amount":1,"destination_account_id":"{acct}"}`, "hold": `{"account_id":"{acct}","amount":1}`}[kind]
		api.Do(t, "POST", path, stranger.fill(body), apitest.Key(stranger.Key), apitest.IdempotencyKey("theirs")).Require(t, http.StatusCreated)
	}
	requireOwn := func(target string, statuses ...int) {
		res := api.Do(t, "GET", target, nil, apitest.Key(caller.Key))
		require.Contains(t, statuses, res.Status, "%s: %s", target, res.Body)
		for kind, id := range stranger.ids {
			require.NotContains(t, string(res.Body), id, "%s shows a %s of somebody else", target, kind)
		}
		require.NotContains(t, string(res.Body), stranger.Business.String(), target)
	}
	pages := 0
	for _, o := range guarded(t) {
		isList := slices.ContainsFunc(o.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == "cursor" })
		if !isList {
			continue
		}
		own := strings.ReplaceAll(o.path, "{id}", caller.ids["acct"])
		requireOwn(own, http.StatusOK)
		theirs := strings.ReplaceAll(o.path, "{id}", stranger.ids["acct"])
		next, _ := api.Do(t, "GET", theirs+"?limit=1", nil, apitest.Key(stranger.Key)).Require(t, http.StatusOK).JSON(t)["next_cursor"].(string)
		if next != "" {
			pages++
			// A cursor of a statement is one of its account, and refused elsewhere.
			requireOwn(own+"?limit=1&cursor="+url.QueryEscape(next), http.StatusOK, http.StatusBadRequest)
		}
	}
	require.GreaterOrEqual(t, pages, 4)
	for _, filter := range []string{
		"/v1/accounts?reference=main", "/v1/transactions?reference=first", "/v1/transactions?idempotency_key=theirs", "/v1/transactions?metadata[a]=1",
	} {
		requireOwn(filter, http.StatusOK)
	}
	// A key that another business has used is new here.
	fresh := api.Do(t, "POST", "/v1/transactions", caller.fill(`{"type":"credit","amount":2,"destination_account_id":"{acct}"}`),
		apitest.Key(caller.Key), apitest.IdempotencyKey("theirs")).Require(t, http.StatusCreated)
	require.Empty(t, fresh.Header.Get("Idempotent-Replayed"))
}

// A key without the one scope that an operation requires is refused, whatever it
// asks for, and nothing changes.
func TestEveryRouteWantsItsScope(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	caller := furnish(t, api)
	without := make(map[apikey.Scope]string)
	for _, missing := range apikey.AllScopes() {
		others := slices.DeleteFunc(apikey.AllScopes(), func(s apikey.Scope) bool { return s == missing })
		without[missing] = api.IssueKey(t, caller.Business, others...)
	}
	before := contents(t, api)
	for _, o := range guarded(t) {
		if o.scope == "" {
			require.Equal(t, "getBusiness", o.OperationID, "an operation without a scope")
			continue
		}
		target, body := caller.request(t, o, position{}, "")
		api.Do(t, o.method, target, body, apitest.Key(without[o.scope])).RequireProblem(t, http.StatusForbidden, errs.InsufficientScope)
	}
	require.Equal(t, before, contents(t, api))

	// And the one scope is enough.
	for _, o := range guarded(t) {
		target, body := caller.request(t, o, position{}, "")
		only := api.IssueKey(t, caller.Business, cmp.Or(o.scope, apikey.AccountsRead))
		res := api.Do(t, o.method, target, body, apitest.Key(only))
		require.True(t, res.Status < 300 || res.Status == http.StatusConflict, "%s: %d %s", o, res.Status, res.Body)
	}
}

// Keys that are revoked or expired, made up or missing, and those of a suspended
// business, are refused everywhere, and nothing changes.
func TestEveryRouteWantsAWorkingKey(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	caller, suspended := furnish(t, api), furnish(t, api)
	revoked, expired := api.IssueKey(t, caller.Business, apikey.AllScopes()...), api.IssueKey(t, caller.Business, apikey.AllScopes()...)
	set := func(column, key string) {
		_, err := api.DB.Pool.Exec(t.Context(), `UPDATE api_keys SET `+column+` = now() - interval '1 second'
			WHERE key_hash = sha256(convert_to($1, 'UTF8'))`, key)
		require.NoError(t, err)
	}
	set("revoked_at", revoked)
	set("expires_at", expired)
	_, err := api.DB.Pool.Exec(t.Context(), `UPDATE businesses SET status = 'suspended' WHERE id = $1`, suspended.Business)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // its key was in use a moment ago
		return api.Do(t, "GET", "/v1/business", nil, apitest.Key(suspended.Key)).Status == http.StatusForbidden
	}, 5*time.Second, 10*time.Millisecond)
	last := caller.Key[len(caller.Key)-1]
	typo := caller.Key[:len(caller.Key)-1] + string('A'+(last-'A'+1)%26)
	refused := map[string]string{"revoked": revoked, "expired": expired, "none": "", "typo": typo, "made up": "txn_" + strings.Repeat("a", 38)}
	before := contents(t, api)
	for _, o := range guarded(t) {
		target, body := caller.request(t, o, position{}, "")
		for _, why := range slices.Sorted(maps.Keys(refused)) {
			res := api.Do(t, o.method, target, body, apitest.Key(refused[why]))
			require.Equal(t, http.StatusUnauthorized, res.Status, "%s with a key that is %s: %s", o, why, res.Body)
			res.RequireProblem(t, http.StatusUnauthorized, errs.Unauthenticated)
		}
		target, body = suspended.request(t, o, position{}, "")
		api.Do(t, o.method, target, body, apitest.Key(suspended.Key)).RequireProblem(t, http.StatusForbidden, errs.BusinessSuspended)
	}
	require.Equal(t, before, contents(t, api))
}
