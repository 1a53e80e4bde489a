package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/client"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/dispatch"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withService{m}, dbtest.IgnoreServers()) }

// withService runs an API and a dispatcher while the tests run, for the examples, which
// find them in their environment.
type withService struct{ *testing.M }

func (w withService) Run() int {
	s := &stage{}
	api := apitest.New(s)
	dispatchFor(s, api)
	_ = os.Setenv("TXN_URL", api.URL)
	_ = os.Setenv("TXN_API_KEY", api.Key)
	code := w.M.Run()
	for _, cleanup := range slices.Backward(s.cleanups) {
		cleanup()
	}
	if s.failed && code == 0 {
		return 1
	}
	return code
}

// stage is what stands for a test where there is none.
type stage struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (s *stage) Helper()                  {}
func (s *stage) Context() context.Context { return context.Background() }
func (s *stage) Cleanup(f func())         { s.cleanups = append(s.cleanups, f) }
func (s *stage) FailNow()                 { panic("the service for the examples is broken") }
func (s *stage) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	s.failed = true
}

// dispatchFor runs a dispatcher for an API until the test ends.
func dispatchFor(tb testing.TB, api *apitest.API) {
	tb.Helper()
	keyring, err := webhook.NewKeyring([][]byte{bytes.Repeat([]byte{7}, 32)})
	require.NoError(tb, err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	d, err := dispatch.New(api.DB, dispatch.Options{
		ListenURL: api.DatabaseURL, Keyring: keyring, Schedule: []time.Duration{time.Hour}, Slots: 32,
		Timeout: 2 * time.Second, Grace: 5 * time.Second, AllowInsecure: true,
	}, log)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	tb.Cleanup(func() { cancel(); running.Wait() })
}

// judged returns a client with a key that may do everything. What it sends and gets is
// held to the document.
func judged(t *testing.T, api *apitest.API, options ...client.Option) *client.Client {
	t.Helper()
	key := api.IssueKey(t, api.Business, apikey.AllScopes()...)
	transport := apitest.Contract(t).Transport(t, &http.Transport{MaxIdleConnsPerHost: 16})
	return connect(t, api.URL, key, append([]client.Option{client.WithHTTPClient(&http.Client{Transport: transport})}, options...)...)
}

// connect returns a client that does not wait long between its tries.
func connect(t *testing.T, url, key string, options ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(url, key, append([]client.Option{client.WithBackoff(time.Millisecond)}, options...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// between is a proxy in front of an API.
func between(t *testing.T, api *apitest.API, handle func(forward http.Handler, w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	target, err := url.Parse(api.URL)
	require.NoError(t, err)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(forward, w, r) }))
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	return server.URL
}

// open opens an account and funds it.
func open(t *testing.T, c *client.Client, name string, balance int64) *client.Account {
	t.Helper()
	account, err := c.Accounts.Create(t.Context(), client.NewAccount{Name: name, Currency: "USD"})
	require.NoError(t, err)
	if balance > 0 {
		_, err = c.Transactions.Create(t.Context(), client.NewTransaction{
			Type: client.TransactionTypeCredit, Amount: balance, DestinationAccountID: account.ID,
		})
		require.NoError(t, err)
	}
	return account
}
