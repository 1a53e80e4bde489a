package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// kit is a database, a store of endpoints and any number of dispatchers.
type kit struct {
	t       testing.TB
	url     string
	db      *database.DB
	keyring *webhook.Keyring
	store   *webhook.Store
	logs    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newKit(tb testing.TB) *kit {
	tb.Helper()
	return newKitAt(tb, dbtest.New(tb).URL)
}

func newKitAt(tb testing.TB, url string) *kit {
	tb.Helper()
	db, err := database.Open(tb.Context(), database.Options{URL: url})
	require.NoError(tb, err)
	tb.Cleanup(db.Close)
	ring, err := webhook.NewKeyring([][]byte{bytes.Repeat([]byte{7}, 32)})
	require.NoError(tb, err)
	return &kit{
		t: tb, url: url, db: db, keyring: ring, logs: &lockedBuffer{},
		store: webhook.NewStore(webhook.Options{Keyring: ring, AllowInsecure: true, MaxPerBusiness: 100_000}),
	}
}

// start runs a dispatcher until the test ends or the function returned is called.
func (k *kit) start(change func(*Dispatcher)) (stop func()) {
	k.t.Helper()
	log := logrus.New()
	log.SetOutput(k.logs)
	d, err := New(k.db, Options{
		ListenURL: k.url, Keyring: k.keyring, Slots: 64, Timeout: 2 * time.Second, Grace: 5 * time.Second, AllowInsecure: true,
		Schedule: webhook.Schedule{50 * time.Millisecond, 100 * time.Millisecond},
	}, log)
	require.NoError(k.t, err)
	if change != nil {
		change(d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			k.t.Error("the dispatcher does not stop")
		}
	})
	k.t.Cleanup(stop)
	return stop
}

func (k *kit) business() models.BusinessID {
	k.t.Helper()
	id := models.NewID[models.BusinessPrefix]()
	k.exec(`INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, id)
	return id
}

func (k *kit) exec(sql string, args ...any) {
	k.t.Helper()
	_, err := k.db.Pool.Exec(k.t.Context(), sql, args...)
	require.NoError(k.t, err)
}

func (k *kit) count(sql string, args ...any) (n int) {
	k.t.Helper()
	require.NoError(k.t, k.db.Pool.QueryRow(k.t.Context(), sql, args...).Scan(&n))
	return n
}

// events commits n events and returns their ids in order.
func (k *kit) events(business models.BusinessID, n int) []models.EventID {
	k.t.Helper()
	events, ids := make([]models.Event, n), make([]models.EventID, n)
	for i := range events {
		ids[i] = models.NewID[models.EventPrefix]()
		body, err := json.Marshal(map[string]any{"id": ids[i], "data": fmt.Sprintf("<%d>", i)})
		require.NoError(k.t, err)
		events[i] = models.Event{
			BusinessID: business, ID: ids[i], Type: models.EventTransactionCreated, Body: body, CreatedAt: database.Now(),
		}
	}
	tx, err := k.db.Pool.Begin(k.t.Context())
	require.NoError(k.t, err)
	require.NoError(k.t, outbox.AppendMany(k.t.Context(), tx, events))
	require.NoError(k.t, tx.Commit(k.t.Context()))
	_, err = k.db.Pool.Exec(k.t.Context(), `SELECT pg_notify('txn_outbox', '')`)
	require.NoError(k.t, err)
	return ids
}

// eventually waits for a condition that needs the database or a receiver.
func (k *kit) eventually(within time.Duration, condition func() bool, message string, args ...any) {
	k.t.Helper()
	require.Eventuallyf(k.t, condition, within, 5*time.Millisecond, message, args...)
}

// settled waits until nothing is pending.
func (k *kit) settled(within time.Duration) {
	k.t.Helper()
	k.eventually(within, func() bool {
		return k.count(`SELECT (SELECT count(*) FROM webhook_outbox) + (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending')`) == 0
	}, "deliveries stay pending")
}

// receiver is an endpoint that verifies signatures and remembers what came.
type receiver struct {
	*httptest.Server
	kit      *kit
	row      models.Webhook
	verifier *standardwebhooks.Webhook

	mu   sync.Mutex
	ids  []string
	bad  []error
	seen map[string]int
	// lax does not verify: one receiver is several endpoints.
	lax bool
	// answer decides the status of the nth receipt of an id, from 1.
	answer func(w http.ResponseWriter, r *http.Request, id string, n int)
}

// receiver starts an endpoint of the business that answers 200.
func (k *kit) receiver(business models.BusinessID, change func(*webhook.Fields)) *receiver {
	k.t.Helper()
	r := &receiver{kit: k, seen: make(map[string]int)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	k.t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	r.register(business, change)
	return r
}

func (r *receiver) register(business models.BusinessID, change func(*webhook.Fields)) {
	r.kit.t.Helper()
	fields := webhook.Fields{URL: r.URL + "/hook?token=do-not-log", EventTypes: []string{"*"}}
	if change != nil {
		change(&fields)
	}
	row, secret, err := r.kit.store.Create(r.kit.db.Gorm, business, fields)
	require.NoError(r.kit.t, err)
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(r.kit.t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row, r.verifier = row, verifier
}

func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	id := request.Header.Get(webhook.HeaderID)
	r.mu.Lock()
	if err == nil && !r.lax {
		err = r.verifier.Verify(body, request.Header)
	}
	if err != nil {
		r.bad = append(r.bad, err)
	}
	r.ids = append(r.ids, id)
	r.seen[id]++
	n, answer := r.seen[id], r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, request, id, n)
	}
}

// received returns the ids in order of receipt, and fails the test if any
// signature was wrong.
func (r *receiver) received() []string {
	r.kit.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Empty(r.kit.t, r.bad)
	return append([]string(nil), r.ids...)
}

func (r *receiver) distinct() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// total returns how many requests came.
func (r *receiver) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ids)
}

func texts(ids []models.EventID) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}
