package apitest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// Option changes a request of Do.
type Option func(*http.Request)

// Key calls with another API key; "" calls without one.
func Key(key string) Option {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
	}
}

// IdempotencyKey calls with this key instead of a new one; "" calls without one.
func IdempotencyKey(key string) Option { return Header("Idempotency-Key", key) }

// Header replaces a header, by all of the values; a single empty value removes
// it.
func Header(name string, values ...string) Option {
	return func(r *http.Request) {
		r.Header.Del(name)
		if len(values) == 1 && values[0] == "" {
			return
		}
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
}

// Context makes the call end with ctx.
func Context(ctx context.Context) Option {
	return func(r *http.Request) { *r = *r.WithContext(ctx) }
}

// Do calls the API for its tenant. path may have a query. body is sent as it is
// when it is a string, []byte or io.Reader, as JSON otherwise; nil is no body. A
// POST gets a new idempotency key. Options are applied in order.
func (a *API) Do(tb testing.TB, method, path string, body any, options ...Option) *Response {
	tb.Helper()
	res, err := a.Try(tb, method, path, body, options...)
	require.NoError(tb, err)
	return res
}

// Try is Do for calls that may get no answer. It may be called from any
// goroutine.
func (a *API) Try(tb testing.TB, method, path string, body any, options ...Option) (*Response, error) {
	tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, a.URL+path, encode(tb, body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.Key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		request.Header.Set("Idempotency-Key", NewKey())
	}
	for _, option := range options {
		option(request)
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	response := &Response{Status: answer.StatusCode, Header: answer.Header, Body: text}
	response.heed(tb)
	return response, answer.Body.Close()
}

// NewKey returns a new idempotency key.
func NewKey() string { return "test-" + models.NewID[models.EventPrefix]().String() }

func encode(tb testing.TB, body any) io.Reader {
	tb.Helper()
	switch body := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(body)
	case []byte:
		return bytes.NewReader(body)
	case io.Reader:
		return body
	}
	text, err := json.Marshal(body)
	if err != nil {
		tb.Errorf("encoding a request: %v", err)
	}
	return bytes.NewReader(text)
}
