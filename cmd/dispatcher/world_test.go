package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// world is a business with endpoints on a database.
type world struct {
	t        *testing.T
	url      string
	db       *database.DB
	ring     *webhook.Keyring
	store    *webhook.Store
	business models.BusinessID
	all      []*endpoint
	// unlogged attempts are made up by the test.
	unlogged int

	mu sync.Mutex
	// committed are the events whose commit was acknowledged.
	committed map[models.EventID]struct{}
	numbers   [accounts]int
}

// accounts is how many accounts the events are about.
const accounts = 4

// witnessSQL makes the database itself watch what no outcome at the end shows: a
// delivery that is changed after it has ended or goes back, and a lane that is
// owned twice in one epoch.
const witnessSQL = `
CREATE TABLE witness (saw text NOT NULL);
CREATE FUNCTION watch_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO witness VALUES ('a delivery was deleted');
    ELSIF OLD.status <> 'pending' AND NEW.run = OLD.run THEN
        INSERT INTO witness VALUES (format('a %s delivery was changed', OLD.status));
    ELSIF NEW.run < OLD.run OR NEW.attempt_count NOT BETWEEN OLD.attempt_count AND OLD.attempt_count + 1 THEN
        INSERT INTO witness VALUES (format('attempts went from %s.%s to %s.%s', OLD.run, OLD.attempt_count, NEW.run, NEW.attempt_count));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE OR DELETE ON webhook_deliveries FOR EACH ROW EXECUTE FUNCTION watch_delivery();
CREATE TABLE owners (webhook_id uuid, epoch bigint, owner uuid, claimed_at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION watch_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch < OLD.epoch OR NEW.epoch = OLD.epoch AND NEW.owner IS NOT NULL THEN
        INSERT INTO witness VALUES (format('a lane went from %s of epoch %s to %s of %s', OLD.owner, OLD.epoch, NEW.owner, NEW.epoch));
    END IF;
    INSERT INTO owners SELECT NEW.webhook_id, NEW.epoch, NEW.owner WHERE NEW.owner IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON webhook_lanes FOR EACH ROW WHEN (NEW.owner IS DISTINCT FROM OLD.owner) EXECUTE FUNCTION watch_lane();`

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: url, ApplicationName: "test"})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	key, err := base64.StdEncoding.DecodeString(encryptionKey)
	require.NoError(t, err)
	ring, err := webhook.NewKeyring([][]byte{key})
	require.NoError(t, err)
	w := &world{
		t: t, url: url, db: db, ring: ring, business: models.NewID[models.BusinessPrefix](), committed: map[models.EventID]struct{}{},
		store: webhook.NewStore(webhook.Options{Keyring: ring, AllowInsecure: true, MaxPerBusiness: 100_000}),
	}
	w.exec(witnessSQL)
	w.exec(`INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, w.business)
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.db.Pool.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// commit appends n events of one account; it returns false when the database did
// not take them, or did not say so. It may be called from any goroutine, one per
// account: then the events of an account commit in the order of their numbers.
func (w *world) commit(account, n int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	events := make([]models.Event, n)
	for i := range events {
		w.numbers[account]++
		id := models.NewID[models.EventPrefix]()
		body, err := json.Marshal(content{id.String(), account, w.numbers[account]})
		if err != nil {
			return false
		}
		events[i] = models.Event{
			BusinessID: w.business, ID: id, Type: models.EventTransactionCreated, Body: body, CreatedAt: database.Now(),
		}
	}
	tx, err := w.db.Pool.Begin(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback(ctx) }() // it has committed, or is to end
	if outbox.AppendMany(ctx, tx, events) != nil || tx.Commit(ctx) != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range events {
		w.committed[event.ID] = struct{}{}
	}
	return true
}

// events commits n events and says so.
func (w *world) events(n int) {
	w.t.Helper()
	require.True(w.t, w.commit(0, n))
	w.exec(`SELECT pg_notify('txn_outbox', '')`)
}

// eventsUntil commits events, with pauses, until something has happened.
func (w *world) eventsUntil(happened <-chan struct{}, pause time.Duration) {
	w.t.Helper()
	for give := time.Now().Add(time.Minute); ; {
		w.events(5)
		select {
		case <-happened:
			return
		case <-time.After(pause):
			require.True(w.t, time.Now().Before(give), "no such statement: has its text changed?")
		}
	}
}

// unrecorded returns how many receipts no delivery accounts for, when the only
// dispatcher is dead: once its backends have ended, and what it had sent has
// arrived.
func (w *world) unrecorded() (n int) {
	w.t.Helper()
	w.becomes(10*time.Second, 0, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'txn-dispatcher'`)
	last, calm := -1, time.Now()
	require.Eventually(w.t, func() bool {
		requests, busy := 0, false
		for _, e := range w.all {
			requests, busy = requests+e.tried(), busy || e.busy()
		}
		if busy || requests != last {
			last, calm = requests, time.Now()
		}
		return time.Since(calm) > 100*time.Millisecond
	}, 10*time.Second, 5*time.Millisecond)
	for _, e := range w.all {
		n += e.total()
	}
	return n - w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`)
}

// produce commits events of all accounts at about the given rate until the
// function returned is called, whatever the database does meanwhile.
func (w *world) produce(perSecond int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	pause := time.Second * accounts / time.Duration(perSecond)
	for account := range accounts {
		running.Go(func() {
			for ctx.Err() == nil {
				if w.commit(account, 1) {
					_, _ = w.db.Pool.Exec(ctx, `SELECT pg_notify('txn_outbox', '')`)
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(rand.Int64N(2 * int64(pause)))):
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func (w *world) number(sql string, args ...any) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n))
	return n
}

// becomes waits for a number, through outages.
func (w *world) becomes(within time.Duration, want int, sql string, args ...any) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		n := -1
		err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n)
		return err == nil && n == want
	}, within, scaled(20*time.Millisecond, time.Second), sql)
}

// drained waits until nothing is on its way.
func (w *world) drained(within time.Duration) {
	w.t.Helper()
	defer func() {
		if w.t.Failed() {
			w.t.Log(w.lanes())
		}
	}()
	w.becomes(within, 0, `SELECT (SELECT count(*) FROM webhook_outbox) + (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending')`)
}

// lanes describes the lanes that have work, for who looks at a failure.
func (w *world) lanes() string {
	var text string
	_ = w.db.Gorm.Raw(`SELECT now()::text || coalesce(string_agg(format(E'\n%s owner %s epoch %s touches %s due %s blocked %s failures %s: %s pending from %s',
		l.webhook_id, l.owner, l.epoch, l.touches, l.due_at, l.blocked_until, l.breaker_failures, d.n, d.first), ''), '')
		FROM webhook_lanes l JOIN LATERAL (SELECT count(*) AS n, min(next_attempt_at) AS first FROM webhook_deliveries d
			WHERE d.business_id = l.business_id AND d.webhook_id = l.webhook_id AND d.status = 'pending') d ON d.n > 0`).Scan(&text)
	return text
}

// expireLeases lets all leases run out: what a crash left behind is picked up
// without waiting for it.
func (w *world) expireLeases() {
	w.t.Helper()
	w.exec(`WITH l AS MATERIALIZED (SELECT webhook_id FROM webhook_lanes WHERE owner IS NOT NULL ORDER BY business_id, webhook_id FOR UPDATE)
		UPDATE webhook_lanes SET due_at = now() WHERE webhook_id IN (SELECT webhook_id FROM l) AND due_at < 'infinity'`)
}

// tally is what became of committed × subscriptions.
type tally struct{ committed, received, failed, pending, duplicates int }

// account proves that nothing is lost: every committed event was received by
// every endpoint of the test, has failed or is on its way there. What the
// database calls delivered was received. It may not be called while a dispatcher
// is at work unless all is drained.
func (w *world) account() (sum tally) {
	w.t.Helper()
	fate := w.fates()
	events := w.known()
	for id := range w.committed {
		if _, there := events[id]; !there { // require.Contains looks at all of them
			require.Fail(w.t, "an acknowledged commit is gone", "%s", id)
		}
	}
	for _, e := range w.all {
		seen := e.receipts(w.t)
		for id := range events {
			times, status := seen[id.String()], fate[delivery{e.id, id}]
			delete(seen, id.String())
			sum.committed++
			switch {
			case status == models.DeliveryDelivered:
				require.Positive(w.t, times, "%s is delivered and was not received", id)
			case status == models.DeliveryFailed:
				sum.failed++
			case status == models.DeliveryPending || events[id]:
				sum.pending++
			case times == 0:
				require.Fail(w.t, "lost", "%s has no delivery to %s", id, e.id)
			}
			if times > 0 {
				sum.received++
				sum.duplicates += times - 1
			}
		}
		require.Empty(w.t, seen, "nobody gets what was not committed")
	}
	require.Equal(w.t, w.number(`SELECT coalesce(sum(attempt_count), 0) FROM webhook_deliveries`)-w.unlogged,
		w.number(`SELECT count(*) FROM webhook_attempts`), "one line in the log for each attempt that counts")
	var saw []string
	require.NoError(w.t, w.db.Gorm.Raw(`SELECT saw FROM witness LIMIT 10`).Scan(&saw).Error)
	require.Empty(w.t, saw)
	return sum
}

// ids are the endpoints that receive.
func (w *world) ids() (ids []models.WebhookID) {
	for _, e := range w.all {
		ids = append(ids, e.id)
	}
	return ids
}

type delivery struct {
	webhook models.WebhookID
	event   models.EventID
}

func (w *world) fates() map[delivery]models.DeliveryStatus {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `SELECT webhook_id, event_id, status FROM webhook_deliveries`)
	require.NoError(w.t, err)
	defer rows.Close()
	fates := make(map[delivery]models.DeliveryStatus)
	for rows.Next() {
		var d delivery
		var status models.DeliveryStatus
		require.NoError(w.t, rows.Scan(&d.webhook, &d.event, &status))
		fates[d] = status
	}
	require.NoError(w.t, rows.Err())
	return fates
}

// known returns the events of the tests with whether they wait for fan-out.
func (w *world) known() map[models.EventID]bool {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `SELECT e.id, o.event_id IS NOT NULL FROM webhook_events e
		LEFT JOIN webhook_outbox o ON o.event_id = e.id WHERE e.type = 'transaction.created'`)
	require.NoError(w.t, err)
	defer rows.Close()
	events := make(map[models.EventID]bool)
	for rows.Next() {
		var id models.EventID
		var waiting bool
		require.NoError(w.t, rows.Scan(&id, &waiting))
		events[id] = waiting
	}
	require.NoError(w.t, rows.Err())
	return events
}

// delivers is account for tests in which everything arrives in the end.
func (w *world) delivers() (duplicates int) {
	w.t.Helper()
	sum := w.account()
	require.Equal(w.t, sum.committed, sum.received, "%+v", sum)
	require.Zero(w.t, sum.failed+sum.pending, "%+v", sum)
	return sum.duplicates
}
