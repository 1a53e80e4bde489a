package apitest

import (
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/httpapi"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/logging"
	"github.com/txn-service/txn/pkg/ratelimit"
	"github.com/txn-service/txn/pkg/telemetry"
	"github.com/txn-service/txn/pkg/webhook"
)

// closeTimeout bounds the end of a test.
const closeTimeout = 10 * time.Second

// Options change what New boots. The zero value is an API on a database of its
// own, without rate limits and without Redis.
type Options struct {
	// DatabaseURL is a migrated database to use instead: another API's for a second
	// replica, or that of a server which the test stops.
	DatabaseURL string
	// RedisURL is where rate limits count.
	RedisURL string
	// PerIP and PerKey are rate limits such as 20-M.
	PerIP, PerKey string
	// TrustedProxies are believed about the client's address.
	TrustedProxies []string
	// Down says that the database does not answer yet: no business is created.
	Down bool
}

// API is a running API with a tenant.
type API struct {
	// URL is the API's address, without a slash at the end.
	URL         string
	DatabaseURL string
	DB          *database.DB
	// Tenant is the business that Do calls for.
	Tenant
	// Metrics is what /metrics would tell.
	Metrics *prometheus.Registry

	server *httpapi.API
	log    *logBuffer
	client *http.Client
}

// New boots an API, which is stopped at the end of the test.
func New(tb testing.TB, options ...Options) *API {
	tb.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	if o.DatabaseURL == "" {
		o.DatabaseURL = dbtest.New(tb).URL
	}
	db, err := database.Open(context.Background(), database.Options{URL: o.DatabaseURL, ApplicationName: "txn-apitest"})
	require.NoError(tb, err)
	tb.Cleanup(db.Close)
	a := &API{DatabaseURL: o.DatabaseURL, DB: db, Metrics: prometheus.NewRegistry(), log: &logBuffer{}}
	tb.Cleanup(func() { a.requireDiscretion(tb) }) // when everything has ended
	a.server, err = httpapi.New(a.deps(tb, o))
	require.NoError(tb, err)
	a.serve(tb)
	a.client = &http.Client{
		Transport:     Contract(tb).Transport(tb, &http.Transport{MaxIdleConnsPerHost: 256}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tb.Cleanup(a.client.CloseIdleConnections)
	if !o.Down {
		a.Tenant = a.NewTenant(tb)
	}
	return a
}

func (a *API) deps(tb testing.TB, o Options) httpapi.Deps {
	tb.Helper()
	log, err := logging.New(a.log, "debug", "json")
	require.NoError(tb, err)
	proxies, err := middleware.ParseProxies(o.TrustedProxies)
	require.NoError(tb, err)
	encryptionKey := bytes.Repeat([]byte{7}, 32)
	require.NoError(tb, disclosure.Record(base64.StdEncoding.EncodeToString(encryptionKey)))
	keyring, err := webhook.NewKeyring([][]byte{encryptionKey})
	require.NoError(tb, err)
	book := ledger.New(a.DB, ledger.Options{}, log)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		require.NoError(tb, book.Close(ctx))
	})
	deps := httpapi.Deps{
		DB: a.DB, Ledger: book, Verifier: apikey.NewVerifier(a.DB), Log: log, Proxies: proxies,
		Webhooks: webhook.NewStore(webhook.Options{Keyring: keyring, AllowInsecure: true}),
		Metrics:  telemetry.NewHTTP(a.Metrics),
		Counters: a.counters(tb, o.RedisURL, log),
	}
	deps.PerClient, err = ratelimit.New("ip", o.PerIP, deps.Counters)
	require.NoError(tb, err)
	deps.PerKey, err = ratelimit.New("key", o.PerKey, deps.Counters)
	require.NoError(tb, err)
	return deps
}

func (a *API) counters(tb testing.TB, redisURL string, log *logrus.Logger) *ratelimit.Store {
	tb.Helper()
	if redisURL == "" {
		return ratelimit.NewStore(nil, a.Metrics, log)
	}
	client, err := ratelimit.NewClient(redisURL)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, client.Close()) })
	return ratelimit.NewStore(client, a.Metrics, log)
}

func (a *API) serve(tb testing.TB) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	a.URL = "http://" + listener.Addr().String()
	server := httpapi.NewServer(a.server, logrus.StandardLogger())
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		require.NoError(tb, server.Shutdown(ctx))
	})
}

// Handler is the API itself.
func (a *API) Handler() *httpapi.API { return a.server }

// Log returns what the API has logged so far: JSON lines.
func (a *API) Log() string { return a.log.String() }

// logBuffer gathers log lines from all goroutines.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
