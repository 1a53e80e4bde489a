package httpapi_test

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/httpapi"
	"github.com/txn-service/txn/pkg/models"
)

// TestTheDocumentIsValid: by the rules of OpenAPI, its examples by its own schemas.
func TestTheDocumentIsValid(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI())
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()))
}

// TestEveryRouteIsDocumented holds the list of routes to the document and the
// document to the list, scopes included.
func TestEveryRouteIsDocumented(t *testing.T) {
	t.Parallel()
	type operation struct{ method, path string }
	served, described := map[operation]string{}, map[operation]string{}
	api := apitest.New(t)
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, r := range api.Handler().Routes() {
		if r.Path == "/docs" || strings.HasPrefix(r.Path, "/docs/") {
			continue // a page for people, which shows the document
		}
		served[operation{r.Method, parameter.ReplaceAllString(r.Path, "{$1}")}] = string(r.Scope)
	}
	for path, item := range apitest.Contract(t).Document.Paths.Map() {
		for method, o := range item.Operations() {
			scope, _ := o.Extensions["x-required-scope"].(string)
			if o.Security != nil && len(*o.Security) == 0 {
				scope = string(httpapi.Public)
			}
			described[operation{method, path}] = scope
		}
	}
	require.Equal(t, served, described)
	for at, scope := range described {
		if scope != "" && scope != string(httpapi.Public) {
			require.Contains(t, apikey.AllScopes(), apikey.Scope(scope), at)
		}
	}
}

// TestEveryCodeIsDocumented: the document has the codes of docs/errors.md, and each
// at the status that the page gives it.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/errors.md")
	require.NoError(t, err)
	statuses := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		statuses[row[2]] = row[1]
	}
	require.Greater(t, len(statuses), 20)
	document := apitest.Contract(t).Document
	var codes []string
	for _, code := range document.Components.Schemas["ErrorCode"].Value.Enum {
		codes = append(codes, code.(string))
	}
	for code := range statuses {
		require.Contains(t, codes, code)
	}
	require.Len(t, codes, len(statuses))

	named := map[string]bool{}
	quoted := regexp.MustCompile("`([a-z_]+)`")
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			for status, response := range o.Responses.Map() {
				if status < "400" || response.Value.Content["application/problem+json"] == nil {
					continue
				}
				for _, match := range quoted.FindAllStringSubmatch(*response.Value.Description, -1) {
					if code := match[1]; statuses[code] != "" {
						require.Equal(t, statuses[code], status, "%s %s: %s", method, path, code)
						named[code] = true
					}
				}
			}
		}
	}
	for code := range statuses {
		if code != "method_not_allowed" { // what the document does not describe
			require.True(t, named[code], "no operation answers %s", code)
		}
	}
}

func TestEveryEventIsDocumented(t *testing.T) {
	t.Parallel()
	document := apitest.Contract(t).Document
	var webhooks []string
	text := map[string]any{}
	require.NoError(t, yaml.Unmarshal(httpapi.OpenAPI(), &text))
	for name := range text["webhooks"].(map[string]any) {
		webhooks = append(webhooks, name)
	}
	var types []string
	for _, kind := range document.Components.Schemas["EventType"].Value.Enum {
		types = append(types, kind.(string))
	}
	var emitted []string
	for _, kind := range models.EventTypes {
		emitted = append(emitted, string(kind))
	}
	require.ElementsMatch(t, emitted, types)
	require.ElementsMatch(t, emitted, webhooks)
	filters := document.Components.Schemas["EventFilter"].Value.Enum
	for _, kind := range emitted {
		noun, _, _ := strings.Cut(kind, ".")
		require.Contains(t, filters, kind)
		require.Contains(t, filters, noun+".*")
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{PerIP: "1-H"})
	nobody := apitest.Key("")
	served := api.Do(t, "GET", "/openapi.yaml", nil, nobody, apitest.Header("Accept-Encoding", "identity")).Require(t, http.StatusOK)
	require.Equal(t, "application/yaml", served.Header.Get("Content-Type"))
	require.Equal(t, "public, max-age=300", served.Header.Get("Cache-Control"))
	require.Equal(t, string(httpapi.OpenAPI()), string(served.Body))
	requireUncounted(t, served)

	etag := apitest.Header("If-None-Match", `"other", `+strings.TrimPrefix(served.Header.Get("ETag"), "W/"))
	again := api.Do(t, "GET", "/openapi.yaml", nil, nobody, etag).Require(t, http.StatusNotModified)
	require.Empty(t, again.Body)
	require.Equal(t, served.Header.Get("ETag"), again.Header.Get("ETag"))

	zipped := api.Do(t, "GET", "/openapi.yaml", nil, nobody, apitest.Header("Accept-Encoding", "br, gzip;q=0.5")).Require(t, http.StatusOK)
	require.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
	require.Equal(t, strconv.Itoa(len(zipped.Body)), zipped.Header.Get("Content-Length"))
	require.Less(t, len(zipped.Body), len(served.Body)/4)
	plain, err := gzip.NewReader(strings.NewReader(string(zipped.Body)))
	require.NoError(t, err)
	var fromYAML, fromZip, fromJSON any
	require.NoError(t, yaml.NewDecoder(plain).Decode(&fromZip))
	require.NoError(t, yaml.Unmarshal(served.Body, &fromYAML))
	require.Equal(t, fromYAML, fromZip)
	for _, refused := range []string{"", "identity", "gzip;q=0", "gzip; q=0.0", "br"} {
		res := api.Do(t, "GET", "/openapi.yaml", nil, nobody, apitest.Header("Accept-Encoding", refused, "x")).Require(t, http.StatusOK)
		require.Empty(t, res.Header.Get("Content-Encoding"), refused)
	}

	asJSON := api.Do(t, "GET", "/openapi.json", nil, nobody).Require(t, http.StatusOK)
	require.Equal(t, "application/json", asJSON.Header.Get("Content-Type"))
	require.NoError(t, json.Unmarshal(asJSON.Body, &fromJSON))
	encoded, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	require.JSONEq(t, string(encoded), string(asJSON.Body))
}

// TestTheDocumentReadsWell: whatever is described has a summary and a description,
// and every operation a tag that is introduced.
func TestTheDocumentReadsWell(t *testing.T) {
	t.Parallel()
	document := apitest.Contract(t).Document
	var tags []string
	for _, tag := range document.Tags {
		require.NotEmpty(t, tag.Description, tag.Name)
		tags = append(tags, tag.Name)
	}
	ids := map[string]bool{}
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			at := method + " " + path
			require.NotEmpty(t, o.Summary, at)
			require.NotEmpty(t, o.Description, at)
			require.Len(t, o.Tags, 1, at)
			require.True(t, slices.Contains(tags, o.Tags[0]), at)
			require.False(t, ids[o.OperationID], at)
			ids[o.OperationID] = true
			for _, parameter := range append(slices.Clone(item.Parameters), o.Parameters...) {
				require.NotEmpty(t, parameter.Value.Description, "%s: %s", at, parameter.Value.Name)
			}
		}
	}
}
