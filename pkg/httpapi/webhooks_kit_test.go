package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/dispatch"
	"github.com/txn-service/txn/pkg/webhook"
)

// dispatchFor runs a dispatcher for an API until the test ends.
func dispatchFor(t *testing.T, api *apitest.API, schedule ...time.Duration) {
	t.Helper()
	keyring, err := webhook.NewKeyring([][]byte{bytes.Repeat([]byte{7}, 32)})
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	d, err := dispatch.New(api.DB, dispatch.Options{
		ListenURL: api.DatabaseURL, Keyring: keyring, Schedule: schedule, Slots: 32,
		Timeout: 2 * time.Second, Grace: 5 * time.Second, AllowInsecure: true,
	}, log)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// receipt is a webhook as it came.
type receipt struct {
	header http.Header
	body   []byte
}

// endpoint receives webhooks and answers with a status.
type endpoint struct {
	*httptest.Server
	status   atomic.Int32
	mu       sync.Mutex
	receipts []receipt
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.status.Store(http.StatusOK)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.receipts = append(e.receipts, receipt{r.Header, body})
		e.mu.Unlock()
		w.WriteHeader(int(e.status.Load()))
		_, _ = io.WriteString(w, "seen")
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) received() []receipt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]receipt(nil), e.receipts...)
}

// createWebhook registers an endpoint and returns its id and secret. more is
// further fields of the body.
func createWebhook(t *testing.T, api *apitest.API, url, more string) (id, secret string) {
	t.Helper()
	res := api.Do(t, "POST", "/v1/webhooks", `{"url":"`+url+`"`+more+`}`).Require(t, http.StatusCreated)
	return res.String(t, "id"), res.String(t, "secret")
}

func showWebhook(t *testing.T, api *apitest.API, id string) map[string]any {
	t.Helper()
	return api.Do(t, "GET", "/v1/webhooks/"+id, nil).Require(t, http.StatusOK).JSON(t)
}

func healthOf(t *testing.T, api *apitest.API, id string) map[string]any {
	t.Helper()
	return showWebhook(t, api, id)["health"].(map[string]any)
}
