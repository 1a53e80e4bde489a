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
func (r *Response) Require(t testing.TB, status int) *Response {
	t.Helper()
	require.Equal(t, status, r.Status, "%s", r.Body)
	return r
}

// JSON decodes the body, which must be an object. Numbers are float64.
func (r *Response) JSON(t testing.TB) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal(r.Body, &object), "%s", r.Body)
	return object
}

// String returns a field of the body that must be a string.
func (r *Response) String(t testing.TB, field string) string {
	t.Helper()
	text, ok := r.JSON(t)[field].(string)
	require.True(t, ok, "%s is no string: %s", field, r.Body)
	return text
}

// Decode reads the body into a shape of package wire.
func (r *Response) Decode(t testing.TB, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.Body, into, json.RejectUnknownMembers(true)), "%s", r.Body)
}

// RequireProblem fails the test unless the answer is a whole problem document
// with the status and code, and with a violation of each of the fields.
func (r *Response) RequireProblem(t testing.TB, status int, code errs.Code, fields ...string) map[string]any {
	t.Helper()
	require.Equal(t, status, r.Status, "%s", r.Body)
	require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
	object := r.JSON(t)
	require.Equal(t, string(code), object["code"], "%s", r.Body)
	require.InDelta(t, status, object["status"], 0)
	require.Equal(t, code.Retryable(), object["retryable"])
	require.NotEmpty(t, object["type"])
	require.NotEmpty(t, object["title"])
	require.NotEmpty(t, object["request_id"])
	require.Equal(t, r.Header.Get("X-Request-Id"), object["request_id"])
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		require.NotEmpty(t, r.Header.Get("Retry-After"))
	}
	for _, field := range fields {
		require.Contains(t, r.fields(t), field, "%s", r.Body)
	}
	return object
}

func (r *Response) fields(t testing.TB) []string {
	t.Helper()
	var document struct {
		Errors []errs.Field `json:"errors"`
	}
	require.NoError(t, json.Unmarshal(r.Body, &document))
	names := make([]string, len(document.Errors))
	for i, field := range document.Errors {
		names[i] = field.Field
	}
	return names
}
