package problem_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/problem"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	for _, code := range declaredCodes(t) {
		doc := problem.New(errs.New(code, "said"), "req_1")
		require.Equal(t, code, doc.Code, "a code without a kind of its own reads as internal")
		require.NotEmpty(t, doc.Title)
	}
}

// declaredCodes reads the contract's codes from their source, so that a new one
// cannot be forgotten here.
func declaredCodes(t *testing.T) []errs.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../errs/errs.go", nil, 0)
	require.NoError(t, err)
	var codes []errs.Code
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		name, isName := spec.Type.(*ast.Ident)
		value, isText := spec.Values[0].(*ast.BasicLit)
		if isName && isText && name.Name == "Code" {
			text, err := strconv.Unquote(value.Value)
			require.NoError(t, err)
			codes = append(codes, errs.Code(text))
		}
		return true
	})
	require.Greater(t, len(codes), 20)
	return codes
}

func write(t *testing.T, err error) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	require.NoError(t, problem.New(err, "req_1").Write(recorder))
	var body map[string]any
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &body))
	return recorder, body
}

func TestDocument(t *testing.T) {
	t.Parallel()
	res, body := write(t, fmt.Errorf("posting: %w", errs.Invalid("amount", "must be greater than zero")))
	require.Equal(t, http.StatusUnprocessableEntity, res.Code)
	require.Equal(t, "application/problem+json", res.Header().Get("Content-Type"))
	require.Equal(t, map[string]any{
		"type":  "https://github.com/txn-service/txn/blob/main/docs/errors.md#validation_failed",
		"title": "The request is not acceptable", "status": 422.0, "detail": "amount: must be greater than zero",
		"code": "validation_failed", "request_id": "req_1", "retryable": false,
		"errors": []any{map[string]any{"field": "amount", "message": "must be greater than zero"}},
	}, body)
}

func TestInternalTextStaysInside(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errors.New("pq: password authentication failed"),
		errs.Wrap(errors.New("password"), errs.Internal, "password"),
		errs.New(errs.Code("made_up"), "password"),
		errs.Wrap(errors.New("password"), errs.Unavailable, "try again"),
	} {
		_, body := write(t, err)
		text, encodeErr := json.Marshal(body)
		require.NoError(t, encodeErr)
		require.NotContains(t, string(text), "password")
	}
	res, body := write(t, errors.New("boom"))
	require.Equal(t, http.StatusInternalServerError, res.Code)
	require.NotContains(t, body, "detail")
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	precise := errs.New(errs.RateLimited, "slow down")
	precise.RetryAfter = 1100 * time.Millisecond
	for want, err := range map[string]error{
		"":  errs.New(errs.NotFound, "no"),
		"2": errs.New(errs.Unavailable, "try again"),
		"1": errs.New(errs.IdempotencyInProgress, "wait"),
	} {
		res, _ := write(t, err)
		require.Equal(t, want, res.Header().Get("Retry-After"), err)
	}
	res, body := write(t, precise)
	require.Equal(t, "2", res.Header().Get("Retry-After"), "rounded up")
	require.Equal(t, true, body["retryable"])
}

func TestUnauthenticatedNamesTheScheme(t *testing.T) {
	t.Parallel()
	res, _ := write(t, errs.New(errs.Unauthenticated, "no key"))
	require.Equal(t, "Bearer", res.Header().Get("WWW-Authenticate"))
}

func TestItemErrorCarriesTheIndex(t *testing.T) {
	t.Parallel()
	_, body := write(t, &problem.ItemError{Index: 0, Err: errs.New(errs.InsufficientFunds, "no funds")})
	require.InDelta(t, 0, body["index"], 0)
	require.Equal(t, "insufficient_funds", body["code"])
}
