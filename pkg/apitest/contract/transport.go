package contract

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// maxJudged bounds what is kept of an answer to be judged, in bytes. Only exports
// are longer, which are text without a schema.
const maxJudged = 4 << 20

// maxReason bounds what is told of a violation: kin-openapi repeats the whole schema
// and the whole value.
const maxReason = 2000

// Transport returns a transport that fails the test when an answer, or a request
// that was accepted, is not as the document says. What is streamed stays streamed: a
// body is judged when the test has read it to its end.
func (c *Contract) Transport(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return &transport{contract: c, tb: tb, next: next}
}

type transport struct {
	contract *Contract
	tb       testing.TB
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil || answer.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
		return answer, err // net/http refuses large headers before the server gets to see them
	}
	o := t.contract.find(r.Method, r.URL.Path)
	t.report(r, answer, t.contract.judgeHead(o, r, answer))
	answer.Body = &listener{ReadCloser: answer.Body, ended: func(body []byte) {
		t.report(r, answer, t.contract.judgeReceived(o, answer, body))
	}}
	return answer, nil
}

// CloseIdleConnections lets http.Client close them.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (t *transport) report(r *http.Request, answer *http.Response, err error) {
	if err == nil {
		return
	}
	reason := err.Error()
	if len(reason) > maxReason {
		reason = reason[:maxReason] + " …"
	}
	t.tb.Errorf("openapi.yaml: %s %s (%d): %s", r.Method, r.URL.RequestURI(), answer.StatusCode, reason)
}

// listener keeps what is read of a body and hands it over at its end.
type listener struct {
	io.ReadCloser
	kept  bytes.Buffer
	ended func(body []byte)
}

// Read implements io.Reader.
func (l *listener) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.ended == nil {
		return n, err
	}
	l.kept.Write(p[:n])
	switch {
	case l.kept.Len() > maxJudged || err != nil && !errors.Is(err, io.EOF):
		l.ended = nil
		l.kept = bytes.Buffer{}
	case err != nil:
		l.ended(l.kept.Bytes())
		l.ended = nil
	}
	return n, err
}
