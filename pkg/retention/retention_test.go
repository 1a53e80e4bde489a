package retention

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

const month = 30 * 24 * time.Hour

// kit is a database with a business, an endpoint and a sweeper.
type kit struct {
	t  *testing.T
	db *database.DB
	*Sweeper
	business models.BusinessID
	endpoint models.WebhookID
	logs     strings.Builder

	mu      sync.Mutex
	deleted map[string]int64
}

func newKit(t *testing.T) *kit {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	k := &kit{t: t, db: db, deleted: make(map[string]int64)}
	log := logrus.New()
	log.SetOutput(&k.logs)
	k.Sweeper = &Sweeper{DB: db, Webhooks: month, Answers: month, Log: log, Deleted: func(kind string, rows int64) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.deleted[kind] += rows
	}}
	k.business, k.endpoint = k.tenant()
	return k
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

func (k *kit) tenant() (models.BusinessID, models.WebhookID) {
	business, endpoint := models.NewID[models.BusinessPrefix](), models.NewID[models.WebhookPrefix]()
	k.exec(`INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, business)
	k.exec(`INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency)
		VALUES ($1, $2, 'https://example.com/', '{*}', 'x', 1)`, business, endpoint)
	return business, endpoint
}

// history makes n events of an age with a delivery and two attempts each; change
// edits the deliveries.
func (k *kit) history(n int, age time.Duration, change string) {
	k.t.Helper()
	k.exec(`CREATE TABLE made AS SELECT uuid_v7(now() - $2::interval, n) AS event, uuid_v7(now() - $2::interval, n) AS delivery
		FROM generate_series(1, $1) n`, n, age)
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at) SELECT $1, event, 'account.created', '{}', now() - $2::interval FROM made`, k.business, age)
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at)
		SELECT $1, delivery, event, $2, 'delivered', now(), 1, now() - $3::interval, now() - $3::interval FROM made`, k.business, k.endpoint, age)
	k.exec(`INSERT INTO webhook_attempts (business_id, delivery_id, number, run, latency_ms, replay, attempted_at)
		SELECT $1, delivery, a, 1, 1, false, now() FROM made, generate_series(1, 2) a`, k.business)
	if change != "" {
		k.exec(`UPDATE webhook_deliveries SET ` + change + ` WHERE id IN (SELECT delivery FROM made)`)
	}
	k.exec(`DROP TABLE made`)
}

func (k *kit) sweep() {
	k.t.Helper()
	require.NoError(k.t, k.pass(k.t.Context()))
}

func TestOnlyWhatHasEndedLongAgoIsDeleted(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const old = month + time.Hour
	k.history(3, old, "")
	k.history(2, old, "status = 'failed', failure_reason = 'no attempt left'")
	k.history(4, old, "status = 'pending', finished_at = NULL")
	k.history(5, old, "run = 2, finished_at = now() - '1 day'::interval") // replayed
	k.history(6, month-time.Hour, "")
	// Old events without deliveries: one waits in the outbox, one goes to an endpoint
	// that has been deleted, one is nobody's.
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT $1, uuid_v7(now() - $2::interval, n), 'hold.created', n::text::bytea, now() - $2::interval FROM generate_series(1, 3) n`, k.business, old)
	k.exec(`INSERT INTO webhook_outbox (part, business_id, event_id, type)
		SELECT $1, business_id, id, type FROM webhook_events WHERE body = '1'`, outbox.PartOf(k.business))
	k.exec(`INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency, deleted_at)
		VALUES ($1, $2, 'https://example.com/', '{*}', 'x', 1, now())`, k.business, models.NewID[models.WebhookPrefix]())
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, failure_reason, next_attempt_at, sequence, created_at, finished_at)
		SELECT e.business_id, uuid_v7(now(), 1), e.id, w.id, 'failed', 'deleted', now(), 1, now(), now()
		FROM webhook_events e, webhooks w WHERE e.body = '2' AND w.deleted_at IS NOT NULL`)
	k.sweep()
	require.Equal(t, map[string]int64{KindDelivery: 3, KindFailedDelivery: 2, KindAttempt: 10, KindEvent: 3 + 2 + 1}, k.deleted)
	require.Equal(t, 4+5+6+1, k.count(`SELECT count(*) FROM webhook_deliveries`))
	require.Equal(t, 2*(4+5+6), k.count(`SELECT count(*) FROM webhook_attempts`))
	require.Equal(t, 4+5+6+2, k.count(`SELECT count(*) FROM webhook_events`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_events WHERE body = '3'`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_deliveries d WHERE NOT EXISTS (
		SELECT FROM webhook_events e WHERE e.business_id = d.business_id AND e.id = d.event_id)`), "no delivery without its event")
	require.Contains(t, k.logs.String(), "cannot be replayed any more")
	require.Contains(t, k.logs.String(), "deliveries=2")

	k.sweep()
	require.Equal(t, int64(6), k.deleted[KindEvent], "there is nothing more to do")
}

func TestEverythingStaysWithoutARetention(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.Webhooks = 0
	k.history(3, 10*month, "")
	k.sweep()
	require.Empty(t, k.deleted)
}

func TestAnswersAreKeptForAMonth(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	other, _ := k.tenant()
	for business, n := range map[models.BusinessID]int{k.business: 1200, other: 3} {
		k.exec(`INSERT INTO idempotency_keys (business_id, scope, key, fingerprint, status, body, created_at)
			SELECT $1, 'batch', 'k' || n, decode(repeat('00', 32), 'hex'), 201, '{}', now() - '30 days'::interval + CASE n % 3 WHEN 0 THEN '1 hour' ELSE '-1 hour' END::interval
			FROM generate_series(1, $2) n`, business, n)
	}
	k.sweep()
	require.Equal(t, map[string]int64{KindAnswer: 802}, k.deleted)
	require.Equal(t, 401, k.count(`SELECT count(*) FROM idempotency_keys`))
}

// Sweepers that are cut off and several at once delete everything once.
func TestSweepersDoNotStandInEachOthersWay(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const n = 3000
	k.history(n, 2*month, "")
	cut, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = k.pass(cut) // it is cut off somewhere
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 20 {
				if err := k.pass(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	require.LessOrEqual(t, k.deleted[KindDelivery], int64(n))
	require.Zero(t, k.count(`SELECT (SELECT count(*) FROM webhook_deliveries) + (SELECT count(*) FROM webhook_attempts)`))
}

func TestTheSweeperRunsUntilItIsTold(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.Rest = time.Millisecond
	k.Log.(*logrus.Logger).SetOutput(io.Discard)
	k.history(3, 2*month, "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); k.Run(ctx) }()
	require.Eventually(t, func() bool { return k.count(`SELECT count(*) FROM webhook_events`) == 0 }, 10*time.Second, 5*time.Millisecond)
	k.history(3, 2*month, "")
	require.Eventually(t, func() bool { return k.count(`SELECT count(*) FROM webhook_events`) == 0 }, 10*time.Second, 5*time.Millisecond)
	stop()
	<-ended
}
