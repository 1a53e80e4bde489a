package apitest

import (
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
)

// Response is an answer with its whole body.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Require fails the test unless the answer has the status.
func (r *Response) Require(tb testing.TB, status int) *Response {
	tb.Helper()
	require.Equal(tb, status, r.Status, "%s", r.Body)
	return r
}

// JSON decodes the body, which must be an object. Numbers are float64.
func (r *Response) JSON(tb testing.TB) map[string]any {
	tb.Helper()
	var object map[string]any
	require.NoError(tb, json.Unmarshal(r.Body, &object), "%s", r.Body)
	return object
}

// String returns a field of the body that must be a string.
func (r *Response) String(tb testing.TB, field string) string {
	tb.Helper()
	text, ok := r.JSON(tb)[field].(string)
	require.True(tb, ok, "%s is no string: %s", field, r.Body)
	return text
}

// Decode reads the body into a shape of package wire.
func (r *Response) Decode(tb testing.TB, into any) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal(r.Body, into, json.RejectUnknownMembers(true)), "%s", r.Body)
}

// RequireProblem fails the test unless the answer is a whole problem document
// with the status and code, and with a violation of each of the fields.
func (r *Response) RequireProblem(tb testing.TB, status int, code errs.Code, fields ...string) map[string]any {
	tb.Helper()
	require.Equal(tb, status, r.Status, "%s", r.Body)
	require.Equal(tb, "application/problem+json", r.Header.Get("Content-Type"))
	object := r.JSON(tb)
	require.Equal(tb, string(code), object["code"], "%s", r.Body)
	require.InDelta(tb, status, object["status"], 0)
	require.Equal(tb, code.Retryable(), object["retryable"])
	require.NotEmpty(tb, object["type"])
	require.NotEmpty(tb, object["title"])
	require.NotEmpty(tb, object["request_id"])
	require.Equal(tb, r.Header.Get("X-Request-Id"), object["request_id"])
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		require.NotEmpty(tb, r.Header.Get("Retry-After"))
	}
	for _, field := range fields {
		require.Contains(tb, r.fields(tb), field, "%s", r.Body)
	}
	return object
}

func (r *Response) fields(tb testing.TB) []string {
	tb.Helper()
	var document struct {
		Errors []errs.Field `json:"errors"`
	}
	require.NoError(tb, json.Unmarshal(r.Body, &document))
	names := make([]string, len(document.Errors))
	for i, field := range document.Errors {
		names[i] = field.Field
	}
	return names
}
