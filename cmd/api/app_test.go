package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
)

const encryptionKey = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="

// app is a running API.
type app struct {
	addresses
	stop   context.CancelFunc
	result chan error
	log    *buffer
}

func settings(databaseURL string) config.Config {
	c := config.Default()
	c.Database.URL = databaseURL
	c.API.Listen, c.API.AdminListen, c.API.ShutdownDelay = "127.0.0.1:0", "127.0.0.1:0", 0
	c.RateLimit.PerIP = ""
	c.Security.EncryptionKeys = []string{encryptionKey}
	return c
}

func start(t *testing.T, c config.Config) *app {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	a := &app{stop: stop, result: make(chan error, 1), log: &buffer{}}
	ready := make(chan addresses, 1)
	go func() { a.result <- run(ctx, c, a.log, func(where addresses) { ready <- where }) }()
	select {
	case a.addresses = <-ready:
	case err := <-a.result:
		require.FailNow(t, "the API did not start", "%v", err)
	}
	t.Cleanup(func() {
		stop()
		select {
		case err := <-a.result:
			if err != nil {
				t.Errorf("the API stopped with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the API did not stop")
		}
		require.Empty(t, disclosure.In(a.log.String()), "the log tells secrets")
	})
	return a
}

// wait returns what run returned and leaves it for the cleanup.
func (a *app) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.result:
		a.result <- err
		return err
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the API did not stop")
		return nil
	}
}

// get may be called from any goroutine. Status 0 means that no answer came.
func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Authorization", "Bearer "+key)
	client := &http.Client{Transport: apitest.Contract(t).Transport(t, &http.Transport{DisableKeepAlives: true})}
	res, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

func issueKey(t *testing.T, databaseURL string) string {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: databaseURL})
	require.NoError(t, err)
	defer db.Close()
	var issued apikey.Issued
	require.NoError(t, db.InTx(t.Context(), func(tx *gorm.DB) error {
		var business models.Business
		business, err := tenant.Create(t.Context(), tx, "operator:test", tenant.New{Name: "Acme"})
		if err != nil {
			return err
		}
		issued, err = apikey.Issue(t.Context(), tx, "operator:test", business.ID, apikey.New{Name: "test"})
		return err
	}))
	require.NoError(t, disclosure.Record(issued.Secret))
	return issued.Secret
}

func TestServe(t *testing.T) {
	t.Parallel()
	c := settings(dbtest.New(t).URL)
	c.Redis.URL = dbtest.Redis(t)
	a := start(t, c)
	key := issueKey(t, c.Database.URL)
	status, body := get(t, "http://"+a.api+"/v1/business", key)
	require.Equal(t, http.StatusOK, status, body)
	status, body = get(t, "http://"+a.api+"/health", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ok","components":{"postgres":{"status":"ok"},"redis":{"status":"ok"},"schema":{"status":"ok"}}}`, body)
	status, body = get(t, "http://"+a.admin+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	for _, name := range []string{
		`txn_http_requests_total{code="200",method="GET",route="/v1/business"} 1`,
		"go_goroutines", "txn_database_pool_connections", "txn_ledger_commit_items", "txn_ratelimit_in_memory 0",
	} {
		require.Contains(t, body, name)
	}
	require.Empty(t, disclosure.In(body), "the metrics tell secrets")
	status, _ = get(t, "http://"+a.api+"/metrics", "")
	require.Equal(t, http.StatusNotFound, status, "metrics are not public")

	a.stop()
	require.NoError(t, a.wait(t))
	log := a.log.String()
	require.Contains(t, log, `"route":"/v1/business"`)
	conn, err := pgx.Connect(t.Context(), c.Database.URL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	var used bool
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT last_used_at IS NOT NULL FROM api_keys`).Scan(&used))
	require.True(t, used, "the end of the process loses no use of a key")
}

// TestDispatchersAreWoken: an account that was created is an event, and
// dispatchers hear at once that there is one.
func TestDispatchersAreWoken(t *testing.T) {
	t.Parallel()
	base := dbtest.New(t)
	key := issueKey(t, base.URL)
	a := start(t, settings(base.URL))
	listener, err := pgx.Connect(t.Context(), base.URL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close(context.Background())) })
	_, err = listener.Exec(t.Context(), `LISTEN txn_outbox`)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.api+"/v1/accounts", strings.NewReader(`{"name":"Main"}`))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Authorization": "Bearer " + key, "Content-Type": "application/json", "Idempotency-Key": "k",
	} {
		request.Header.Set(name, value)
	}
	client := &http.Client{Transport: apitest.Contract(t).Transport(t, &http.Transport{DisableKeepAlives: true})}
	res, err := client.Do(request)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusCreated, res.StatusCode)
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = listener.WaitForNotification(patience)
	require.NoError(t, err)
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*config.Config){
		"TXN_DATABASE_URL":             func(c *config.Config) { c.Database.URL = "" },
		"TXN_SECURITY_ENCRYPTION_KEYS": func(c *config.Config) { c.Security.EncryptionKeys = nil },
		"rate_limit.per_ip":            func(c *config.Config) { c.RateLimit.PerIP = "20/M" },
		"rate_limit.per_key":           func(c *config.Config) { c.RateLimit.PerKey = "many" },
		"api.trusted_proxies":          func(c *config.Config) { c.API.TrustedProxies = []string{"proxy"} },
		"redis.url":                    func(c *config.Config) { c.Redis.URL = "http://:hunter2@x" },
		"api.listen":                   func(c *config.Config) { c.API.Listen = "127.0.0.1:-1" },
		"api.admin_listen":             func(c *config.Config) { c.API.AdminListen = "127.0.0.1:-1" },
		"log.level":                    func(c *config.Config) { c.Log.Level = "loud" },
	} {
		c := settings("postgres://nobody@127.0.0.1:1/none")
		change(&c)
		err := run(t.Context(), c, io.Discard, func(addresses) { t.Error(want + ": started") })
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestStartsWhileEverythingIsDown(t *testing.T) {
	t.Parallel()
	c := settings("postgres://nobody@127.0.0.1:1/none")
	c.Redis.URL = "redis://127.0.0.1:1/0"
	c.RateLimit.PerIP = "20-M"
	a := start(t, c)
	status, _ := get(t, "http://"+a.api+"/livez", "")
	require.Equal(t, http.StatusOK, status)
	status, body := get(t, "http://"+a.api+"/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
}

// buffer gathers what all goroutines write.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Clone(b.text.String())
}
