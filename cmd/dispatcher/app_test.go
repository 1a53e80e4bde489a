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

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/disclosure"
)

const encryptionKey = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func settings(databaseURL string) config.Config {
	c := config.Default()
	c.Database.URL = databaseURL
	c.Dispatcher.AdminListen, c.Dispatcher.ShutdownGrace = "127.0.0.1:0", 3*time.Second
	c.Security.EncryptionKeys = []string{encryptionKey}
	c.Webhooks.AllowInsecure = true
	return c
}

// start runs a dispatcher and returns its admin URL, a function that stops it
// and returns what run returned, and its log.
func start(t *testing.T, c config.Config) (admin string, stop func() error, log *buffer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log = &buffer{}
	ready, result := make(chan string, 1), make(chan error, 1)
	go func() { result <- run(ctx, c, log, func(address string) { ready <- address }) }()
	select {
	case address := <-ready:
		admin = "http://" + address
	case err := <-result:
		require.FailNow(t, "the dispatcher did not start", "%v", err)
	}
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(20 * time.Second):
			return context.DeadlineExceeded
		}
	})
	t.Cleanup(func() {
		require.NoError(t, stop())
		require.Empty(t, disclosure.In(log.String()), "the log tells secrets")
	})
	return admin, stop, log
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func TestServesHealthAndMetrics(t *testing.T) {
	t.Parallel()
	admin, stop, log := start(t, settings(dbtest.New(t).URL))
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		status, body := get(t, admin+path)
		require.Equal(t, http.StatusOK, status, body)
	}
	require.Eventually(t, func() bool {
		_, body := get(t, admin+"/metrics")
		return strings.Contains(body, "txn_dispatcher_listening 1")
	}, 10*time.Second, 20*time.Millisecond)
	_, body := get(t, admin+"/metrics")
	for _, name := range []string{"txn_outbox_events 0", "txn_dispatcher_slots 512", "txn_lanes_leased 0", "go_goroutines", "txn_database_pool_connections"} {
		require.Contains(t, body, name)
	}
	require.NoError(t, stop())
	require.Contains(t, log.String(), `"stopped"`)
	require.NotContains(t, log.String(), encryptionKey)
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*config.Config){
		"TXN_DATABASE_URL":             func(c *config.Config) { c.Database.URL = "" },
		"TXN_SECURITY_ENCRYPTION_KEYS": func(c *config.Config) { c.Security.EncryptionKeys = nil },
		"dispatcher.slots":             func(c *config.Config) { c.Dispatcher.Slots = 0 },
		"dispatcher.admin_listen":      func(c *config.Config) { c.Dispatcher.AdminListen = "127.0.0.1:-1" },
		"log.level":                    func(c *config.Config) { c.Log.Level = "loud" },
	} {
		c := settings("postgres://127.0.0.1:1/nothing")
		change(&c)
		require.ErrorContains(t, run(t.Context(), c, io.Discard, func(string) {}), want)
	}
}

func TestWaitsForTheDatabaseAndItsSchema(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	database := dbtest.NewOn(t, server)
	database.Exec(t, `UPDATE goose_db_version SET is_applied = false WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	admin, _, log := start(t, settings(database.URL))
	status, body := get(t, admin+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "txnctl migrate up")
	status, _ = get(t, admin+"/livez")
	require.Equal(t, http.StatusOK, status)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "not sending yet") }, 10*time.Second, 20*time.Millisecond)
	database.Exec(t, `UPDATE goose_db_version SET is_applied = true`)
	require.Eventually(t, func() bool { status, _ := get(t, admin+"/readyz"); return status == http.StatusOK }, 10*time.Second, 20*time.Millisecond)
}
