package httpapi_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
)

// TestTheReferencePage: everything that the page loads is served from here, and
// nothing is inline, which the policy would block.
func TestTheReferencePage(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{PerIP: "1-H"})
	nobody := apitest.Key("")
	page := api.Do(t, "GET", "/docs", nil, nobody).Require(t, http.StatusOK)
	require.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", page.Header.Get("X-Content-Type-Options"))
	policy := page.Header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		require.Contains(t, policy+";", directive+";", "a directive of its own")
	}
	require.NotContains(t, policy, "unsafe")
	requireUncounted(t, page)

	html := string(page.Body)
	require.NotRegexp(t, `<style|style=|<script>|\son[a-z]+=|https?://`, html)
	loaded := regexp.MustCompile(`(?:src|href)="(docs/[^"]+)"`).FindAllStringSubmatch(html, -1)
	require.Len(t, loaded, 4)
	for _, match := range loaded {
		file := api.Do(t, "GET", "/"+match[1], nil, nobody).Require(t, http.StatusOK)
		require.NotEmpty(t, file.Body)
		want := "text/javascript; charset=utf-8"
		if strings.HasSuffix(match[1], ".css") {
			want = "text/css; charset=utf-8"
		}
		require.Equal(t, want, file.Header.Get("Content-Type"))
		again := apitest.Header("If-None-Match", file.Header.Get("ETag"))
		require.Empty(t, api.Do(t, "GET", "/"+match[1], nil, nobody, again).Require(t, http.StatusNotModified).Body)
	}
	for _, path := range []string{"/docs/", "/docs/nothing.js", "/docs/..%2fopenapi.yaml", "/docs/index.html.gz"} {
		api.Do(t, "GET", path, nil, nobody).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	}
	api.Do(t, "GET", "/docs?url=https://example.com/", nil, nobody).RequireProblem(t, http.StatusBadRequest, errs.InvalidRequest, "url")
}
