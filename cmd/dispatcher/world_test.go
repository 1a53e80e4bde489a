package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// world is a business with endpoints on a database.
type world struct {
	t         *testing.T
	url       string
	db        *database.DB
	store     *webhook.Store
	business  models.BusinessID
	all       []*endpoint
	committed int
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	key, err := base64.StdEncoding.DecodeString(encryptionKey)
	require.NoError(t, err)
	ring, err := webhook.NewKeyring([][]byte{key})
	require.NoError(t, err)
	w := &world{
		t: t, url: url, db: db, store: webhook.NewStore(webhook.Options{Keyring: ring, AllowInsecure: true}),
		business: models.NewID[models.BusinessPrefix](),
	}
	_, err = db.Pool.Exec(t.Context(), `INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, w.business)
	require.NoError(t, err)
	return w
}

// endpoint is a receiver that verifies and counts.
type endpoint struct {
	*httptest.Server
	id   models.WebhookID
	mu   sync.Mutex
	seen map[string]int
	bad  int
}

// endpoint starts a receiver that takes some time for each answer.
func (w *world) endpoint(delay time.Duration) *endpoint {
	w.t.Helper()
	e := &endpoint{seen: make(map[string]int)}
	var verifier *standardwebhooks.Webhook
	e.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		time.Sleep(delay)
		e.mu.Lock()
		defer e.mu.Unlock()
		if err != nil || verifier.Verify(body, r.Header) != nil {
			e.bad++
			return
		}
		e.seen[r.Header.Get(webhook.HeaderID)]++
	}))
	w.t.Cleanup(func() { e.CloseClientConnections(); e.Close() })
	row, secret, err := w.store.Create(w.db.Gorm, w.business, webhook.Fields{URL: e.URL, EventTypes: []string{"*"}})
	require.NoError(w.t, err)
	verifier, err = standardwebhooks.NewWebhook(secret)
	require.NoError(w.t, err)
	e.id = row.ID
	w.all = append(w.all, e)
	return e
}

// count returns how many different events came.
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

// commit appends n events; it returns false when the database did not take them.
func (w *world) commit(n int) bool {
	events := make([]models.Event, n)
	for i := range events {
		id := models.NewID[models.EventPrefix]()
		events[i] = models.Event{
			BusinessID: w.business, ID: id, Type: models.EventTransactionCreated,
			Body: []byte(`{"id":"` + id.String() + `"}`), CreatedAt: database.Now(),
		}
	}
	tx, err := w.db.Pool.Begin(w.t.Context())
	if err != nil {
		return false
	}
	if err := outbox.AppendMany(w.t.Context(), tx, events); err != nil {
		_ = tx.Rollback(w.t.Context())
		return false
	}
	if err := tx.Commit(w.t.Context()); err != nil {
		return false
	}
	w.committed += n
	return true
}

func (w *world) events(n int) {
	w.t.Helper()
	require.True(w.t, w.commit(n))
	_, err := w.db.Pool.Exec(w.t.Context(), `SELECT pg_notify('txn_outbox', '')`)
	require.NoError(w.t, err)
}

func (w *world) number(sql string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.Pool.QueryRow(w.t.Context(), sql).Scan(&n))
	return n
}

// drained waits until nothing is on its way.
func (w *world) drained(within time.Duration) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var n int
		err := w.db.Pool.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM webhook_outbox) +
			(SELECT count(*) FROM webhook_deliveries WHERE status = 'pending')`).Scan(&n)
		return err == nil && n == 0
	}, within, 20*time.Millisecond)
}

// account checks that every committed event reached every endpoint, and returns
// how many receipts were duplicates.
func (w *world) account() (duplicates int) {
	w.t.Helper()
	committed := w.number(`SELECT count(*) FROM webhook_events`)
	require.GreaterOrEqual(w.t, committed, w.committed)
	for _, e := range w.all {
		require.Zero(w.t, e.bad, "every signature is right")
		require.Equal(w.t, committed, e.count(), "nothing is lost")
		duplicates += e.total() - e.count()
	}
	require.Equal(w.t, committed*len(w.all), w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`))
	require.Zero(w.t, w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`))
	return duplicates
}
