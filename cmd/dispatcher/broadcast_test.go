package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// audience is one receiver behind very many endpoints.
type audience struct {
	mu   sync.Mutex
	seen map[string]int // by path and event
}

// audience registers n endpoints; with one store call each that would take longer
// than the test.
func (w *world) audience(n int) *audience {
	w.t.Helper()
	a := &audience{seen: make(map[string]int)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen[r.URL.Path+" "+r.Header.Get(webhook.HeaderID)]++
	}))
	w.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	endpoints, lanes := make([][]any, n), make([][]any, n)
	for i := range n {
		id := models.NewID[models.WebhookPrefix]()
		sealed := w.ring.Seal(w.business, id, []byte("the same secret for all of them!"))
		endpoints[i] = []any{w.business, id, server.URL + "/" + strconv.Itoa(i), []string{"*"}, sealed, 4}
		lanes[i] = []any{w.business, id}
	}
	_, err := w.db.Pool.CopyFrom(w.t.Context(), pgx.Identifier{"webhooks"},
		[]string{"business_id", "id", "url", "event_types", "secret_ciphertext", "max_concurrency"}, pgx.CopyFromRows(endpoints))
	require.NoError(w.t, err)
	_, err = w.db.Pool.CopyFrom(w.t.Context(), pgx.Identifier{"webhook_lanes"}, []string{"business_id", "webhook_id"}, pgx.CopyFromRows(lanes))
	require.NoError(w.t, err)
	return a
}

// An event for more endpoints than one fan-out step serves, and a death in the
// middle: nobody is left out (F9).
func TestABroadcastSurvivesADeathInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]moment{"before the second step": before, "in the second step": executed, "after the second step": committed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.New(t).URL)
			size := scaled(2100, 10_000)
			a := w.audience(size)
			proxy := newWire(t, w.url)
			started := make(chan *process, 1)
			died := proxy.fail(failpoint{statement: statements["fan out"], skip: 1, at: at, act: func() { (<-started).kill(t) }})
			require.True(t, w.commit(0, 1))
			started <- spawn(t, proxy.url)
			<-died
			if at != committed {
				require.Equal(t, 1, w.number(`SELECT count(*) FROM webhook_outbox WHERE after_webhook_id IS NOT NULL`), "it is part of the way")
			}
			second := spawn(t, w.url)
			w.expireLeases()
			w.drained(recovery())
			require.Equal(t, size, w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`))
			require.Len(t, a.seen, size, "none missing")
			total := 0
			for _, times := range a.seen {
				total += times
			}
			require.LessOrEqual(t, total-size, mostDuplicates)
			w.account()
			second.stop(t)
		})
	}
}
