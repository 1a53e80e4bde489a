package httpapi_test

import (
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
)

// requestBodies are acceptable bodies of the operations that take one, by operation
// id, in which {kind} stands for an id of the caller's own. An operation that is
// new in the document fails the tests here until it has a line.
var requestBodies = map[string]string{
	"createAccount":       `{"name":"Another"}`,
	"updateAccount":       `{"name":"Renamed"}`,
	"createTransaction":   `{"type":"transfer","amount":1,"source_account_id":"{acct}","destination_account_id":"{acct2}"}`,
	"createBatch":         `{"transactions":[{"type":"transfer","amount":1,"source_account_id":"{acct}","destination_account_id":"{acct2}"}]}`,
	"reverseTransaction":  `{"amount":1}`,
	"createHold":          `{"account_id":"{acct}","destination_account_id":"{acct2}","amount":1}`,
	"captureHold":         `{"amount":1}`,
	"voidHold":            `{}`,
	"createWebhook":       `{"url":"http://127.0.0.1:9/another"}`,
	"updateWebhook":       `{"description":"Renamed"}`,
	"rotateWebhookSecret": `{"grace_period_seconds":60}`,
	"testWebhook":         `{}`,
	"replayWebhook":       `{}`,
	"replayEvent":         `{"webhook_id":"{wh}"}`,
	"replayDelivery":      `{}`,
	"createReplay":        `{"webhook_id":"{wh}"}`,
	"cancelReplay":        `{}`,
	"createAPIKey":        `{"name":"Another","scopes":["accounts:read"]}`,
	"rotateAPIKey":        `{}`,
}

// operation is one of the document that needs an API key.
type operation struct {
	*openapi3.Operation

	method, path string
	// scope is empty when any key will do.
	scope apikey.Scope
}

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

// guarded lists what the document has under /v1.
func guarded(t *testing.T) []operation {
	t.Helper()
	var operations []operation
	for path, item := range apitest.Contract(t).Document.Paths.Map() {
		for method, o := range item.Operations() {
			if !strings.HasPrefix(path, "/v1/") {
				continue
			}
			scope, _ := o.Extensions["x-required-scope"].(string)
			operations = append(operations, operation{o, method, path, apikey.Scope(scope)})
			if o.RequestBody != nil {
				require.Contains(t, requestBodies, o.OperationID, "what does it take?")
			}
		}
	}
	require.GreaterOrEqual(t, len(operations), 40)
	slices.SortFunc(operations, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return operations
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
		}
	}
	if o.RequestBody != nil {
		schema := o.RequestBody.Value.Content.Get("application/json").Schema
		found = append(found, members(schema.Value, nil)...)
	}
	return found
}

func members(schema *openapi3.Schema, at []string) []position {
	var found []position
	if kind := kindOf(schema); kind != "" {
		found = append(found, position{body: at, kind: kind})
	}
	for name, property := range schema.Properties {
		found = append(found, members(property.Value, append(slices.Clone(at), name))...)
	}
	if schema.Items != nil {
		found = append(found, members(schema.Items.Value, append(slices.Clone(at), "0"))...)
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
	template, takes := requestBodies[o.OperationID]
	if !takes {
		return target, nil
	}
	var object any
	require.NoError(t, json.Unmarshal([]byte(b.fill(template)), &object))
	if at.body != nil {
		put(t, object, at.body, id)
	}
	return target, object
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

// contents is every row of the database; uses of keys are written behind.
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
			`SELECT md5(coalesce(string_agg(r, E'\n' ORDER BY r), '')) FROM (SELECT (to_jsonb(t) - 'last_used_at')::text AS r FROM %s t) x`, table)).Scan(&digest))
		digests[table] = digest
	}
	return digests
}

// normal is an answer without what tells two requests apart.
func normal(t *testing.T, res *apitest.Response, id string) string {
	t.Helper()
	text := strings.ReplaceAll(string(res.Body), id, "ID")
	if request := res.Header.Get("X-Request-Id"); request != "" {
		text = strings.ReplaceAll(text, request, "REQUEST")
	}
	return fmt.Sprint(res.Status, " ", text)
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
			positions++
			ask := func(id string) *apitest.Response {
				target, body := caller.request(t, o, at, id)
				return api.Do(t, o.method, target, body, apitest.Key(caller.Key))
			}
			theirs, unknown := stranger.ids[at.kind], unknownID(at.kind)
			require.NotEmpty(t, theirs, "the stranger has no %s", at.kind)
			foreign, none := ask(theirs), ask(unknown)
			require.Equal(t, normal(t, none, unknown), normal(t, foreign, theirs), "%s %s, %s", o.method, o.path, at)
			require.Contains(t, []int{http.StatusNotFound, http.StatusOK}, foreign.Status, "%s %s, %s: %s", o.method, o.path, at, foreign.Body)
		}
	}
	require.Greater(t, positions, 35)
	require.Equal(t, before, contents(t, api))

	// What names things otherwise: references, keys, cursors, metadata.
	for _, target := range []string{
		"/v1/accounts?reference=main", "/v1/transactions?reference=first", "/v1/accounts", "/v1/transactions", "/v1/holds", "/v1/webhooks",
		"/v1/webhook-events", "/v1/webhook-deliveries", "/v1/webhook-replays", "/v1/api-keys",
	} {
		list := string(api.Do(t, "GET", target, nil, apitest.Key(caller.Key)).Require(t, http.StatusOK).Body)
		for kind, id := range stranger.ids {
			require.NotContains(t, list, id, "%s shows a %s of somebody else", target, kind)
		}
		require.NotContains(t, list, stranger.Business.String(), target)
	}
	page := api.Do(t, "GET", "/v1/accounts?limit=1", nil, apitest.Key(stranger.Key)).String(t, "next_cursor")
	list := string(api.Do(t, "GET", "/v1/accounts?limit=1&cursor="+url.QueryEscape(page), nil, apitest.Key(caller.Key)).Body)
	for _, id := range stranger.ids {
		require.NotContains(t, list, id, "by a cursor of somebody else")
	}
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
			require.Equal(t, http.StatusUnauthorized, res.Status, "%s %s with a key that is %s: %s", o.method, o.path, why, res.Body)
			res.RequireProblem(t, http.StatusUnauthorized, errs.Unauthenticated)
		}
		target, body = suspended.request(t, o, position{}, "")
		api.Do(t, o.method, target, body, apitest.Key(suspended.Key)).RequireProblem(t, http.StatusForbidden, errs.BusinessSuspended)
	}
	require.Equal(t, before, contents(t, api))
}
