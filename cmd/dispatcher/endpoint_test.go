package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// endpoint is a receiver that verifies and counts.
type endpoint struct {
	*httptest.Server
	id     models.WebhookID
	secret string

	// wait, when there is one, is what a request waits for before it is judged.
	wait func()

	mu sync.Mutex
	// verify judges a request; reply, when there is one, says what the nth request
	// is answered, and in which headers, 200 otherwise.
	verify func(body []byte, header http.Header) error
	reply  func(n int, header http.Header) (status int)
	// seen counts what was received, by event: only what is answered 2xx is.
	seen map[string]int
	// firsts are the events in the order in which they were first received.
	firsts   []content
	requests int
	bad      []error
	now      int // requests at this moment
	most     int
}

// content is what the tests put into events.
type content struct {
	ID      string `json:"id"`
	Account int    `json:"account"`
	N       int    `json:"n"`
}

// endpoint starts a receiver that takes some time for each answer.
func (w *world) endpoint(delay time.Duration, change ...func(*webhook.Fields)) *endpoint {
	w.t.Helper()
	e := &endpoint{seen: make(map[string]int)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut off in the middle
		}
		e.enter()
		time.Sleep(delay)
		if e.wait != nil {
			e.wait()
		}
		writer.WriteHeader(e.receive(body, r.Header, writer.Header()))
	}))
	w.t.Cleanup(func() { e.CloseClientConnections(); e.Close() })
	e.id, e.secret = w.register(e.URL, change...)
	e.verify = verifier(w.t, e.secret)
	w.all = append(w.all, e)
	return e
}

// register adds an endpoint of the business at a URL.
func (w *world) register(url string, change ...func(*webhook.Fields)) (id models.WebhookID, secret string) {
	w.t.Helper()
	fields := webhook.Fields{URL: url, EventTypes: []string{"*"}}
	for _, c := range change {
		c(&fields)
	}
	row, secret, err := w.store.Create(w.db.Gorm, w.business, fields)
	require.NoError(w.t, err)
	require.NoError(w.t, disclosure.Record(secret))
	return row.ID, secret
}

func verifier(t require.TestingT, secret string) func([]byte, http.Header) error {
	v, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return v.Verify
}

func (e *endpoint) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now++
	e.most = max(e.most, e.now)
}

func (e *endpoint) receive(body []byte, header, replied http.Header) (status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now--
	e.requests++
	if err := e.verify(body, header); err != nil {
		e.bad = append(e.bad, err)
		return http.StatusUnauthorized
	}
	if e.reply != nil {
		if status = e.reply(e.requests, replied); status < 200 || status >= 300 {
			return status
		}
	}
	id := header.Get(webhook.HeaderID)
	if e.seen[id]++; e.seen[id] == 1 {
		var c content
		if err := json.Unmarshal(body, &c); err != nil || c.ID != id {
			e.bad = append(e.bad, err)
		}
		e.firsts = append(e.firsts, c)
	}
	return http.StatusOK
}

// count returns how many different events were received.
func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

// total returns how many receipts there were.
func (e *endpoint) total() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, times := range e.seen {
		n += times
	}
	return n
}

// tried returns how many requests came.
func (e *endpoint) tried() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// busy reports whether a request is being answered.
func (e *endpoint) busy() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now > 0
}

// crowd returns how many requests there were at once at most.
func (e *endpoint) crowd() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most
}

// receipts returns how often each event was received.
func (e *endpoint) receipts(t require.TestingT) map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Empty(t, e.bad, "every signature and body is right")
	return maps.Clone(e.seen)
}
