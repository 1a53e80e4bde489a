package outbox

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// stuckSQL counts lanes that nobody would ever look at although they have work.
const stuckSQL = `SELECT count(*) FROM webhook_lanes l
WHERE l.due_at = 'infinity' AND l.owner IS NULL AND l.blocked_until < now() AND EXISTS (
    SELECT FROM webhook_deliveries d WHERE d.business_id = l.business_id AND d.webhook_id = l.webhook_id AND d.status = 'pending')`

// during runs do while a transaction has executed a statement and not committed
// yet; do must end up waiting for it, which the test waits for in turn.
func (k *kit) during(sql string, args []any, do func()) {
	k.t.Helper()
	tx, err := k.db.Pool.Begin(k.t.Context())
	require.NoError(k.t, err)
	rows, err := tx.Query(k.t.Context(), sql, args...)
	require.NoError(k.t, err)
	rows.Close()
	require.NoError(k.t, rows.Err())
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	require.Eventually(k.t, func() bool {
		return k.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}, 5*time.Second, time.Millisecond)
	require.NoError(k.t, tx.Commit(k.t.Context()))
	<-done
}

func TestNoWakeUpIsLostWhenReleaseWaitsForAFanOut(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	k.events(business, models.EventAccountCreated, 1)
	k.during(fanOutSQL, fanOutArgs(PartOf(business)), func() {
		require.False(t, k.release(lane, fetched.Touches, 0), "it has not seen the new delivery")
	})
	require.Len(t, k.fetchOne(lane).Due, 1)
}

func TestNoWakeUpIsLostWhenAFanOutWaitsForARelease(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	k.events(business, models.EventAccountCreated, 1)
	args := []any{
		[]models.BusinessID{business}, []models.WebhookID{key.WebhookID}, []int64{lane.Epoch}, []int64{fetched.Touches},
		[]float64{0}, []bool{false}, []int32{0}, []int16{0}, k.owner, failingLimit, []int32{0}, []int32{0},
	}
	k.during(releaseSQL, args, func() {
		_, last := k.fanOutAll()
		require.True(t, last.Due)
	})
	require.Zero(t, k.count(stuckSQL))
	require.Len(t, k.fetchOne(k.claimOne()).Due, 1)
}

func TestClaimSkipsWhatAFanOutIsTouching(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	k.events(business, models.EventAccountCreated, 1)
	tx, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), fanOutSQL, fanOutArgs(PartOf(business))...)
	require.NoError(t, err)
	none, err := k.Claim(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, none)
	require.NoError(t, tx.Commit(t.Context()))
	require.Len(t, k.fetchOne(k.claimOne()).Due, 2)
}

// Four dispatchers work the same few lanes as fast as they can, losing leases
// and giving lanes back at random, while events keep coming: in the end every
// delivery is delivered and no lane is stuck.
func TestRandomInterleavingsLoseNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	const endpoints, dispatchers = 3, 4
	for i := range endpoints {
		change := ""
		if i == 0 {
			change = "ordered = true"
		}
		k.endpoint(business, change)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	ended := make(chan error, dispatchers)
	for range dispatchers {
		go func() { ended <- workLanes(ctx, NewDispatcher(k.db), 50) }()
	}
	total := 0
	for ctx.Err() == nil && total < 500 { // no more than one dispatcher can drain
		k.events(business, models.EventAccountUpdated, 1+rand.IntN(5))
		total = k.count(`SELECT count(*) FROM webhook_events`)
		if rand.IntN(20) == 0 { // a lease runs out
			k.exec(`WITH l AS MATERIALIZED (SELECT webhook_id FROM webhook_lanes WHERE owner IS NOT NULL ORDER BY business_id, webhook_id FOR UPDATE)
				UPDATE webhook_lanes SET due_at = now() WHERE webhook_id IN (SELECT webhook_id FROM l)`)
		}
	}
	for range dispatchers {
		require.NoError(t, <-ended)
	}
	k.fanOutAll()
	require.Zero(t, k.count(stuckSQL))
	k.exec(`UPDATE webhook_lanes SET due_at = now() WHERE owner IS NOT NULL`) // what the killed ones held
	drain, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	go func() { ended <- workLanes(drain, NewDispatcher(k.db), 1_000_000) }()
	require.Eventually(t, func() bool {
		return k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`) == 0
	}, 25*time.Second, 20*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	require.Equal(t, endpoints*total, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`))
	require.Zero(t, k.count(stuckSQL))
	require.Equal(t, k.count(`SELECT sum(attempt_count) FROM webhook_deliveries`), k.count(`SELECT count(*) FROM webhook_attempts`))
}

// workLanes is a dispatcher without HTTP: everything that it fetches succeeds,
// some of it at the second attempt. It walks away from a lane after so many turns,
// as a crash would.
func workLanes(ctx context.Context, d *Dispatcher, turns int) error {
	for ctx.Err() == nil {
		if _, err := d.FanOut(ctx, int16(rand.IntN(Parts))); err != nil {
			return unlessOver(ctx, err)
		}
		lanes, err := d.Claim(ctx, 2)
		if err != nil {
			return unlessOver(ctx, err)
		}
		for _, lane := range lanes {
			if err := workLane(ctx, d, lane, turns); err != nil {
				return unlessOver(ctx, err)
			}
		}
	}
	return nil
}

func workLane(ctx context.Context, d *Dispatcher, lane Lane, turns int) error {
	for range turns {
		fetched, err := d.Fetch(ctx, []Want{{lane.LaneKey, lane.Epoch, 1 + rand.IntN(10), lane.Ordered}})
		if err != nil || !fetched[0].Held {
			return err
		}
		results := make([]Result, 0, len(fetched[0].Due))
		for _, due := range fetched[0].Due {
			r := Result{
				BusinessID: lane.BusinessID, DeliveryID: due.ID, WebhookID: lane.WebhookID, EventID: due.EventID, Run: due.Run, AttemptCount: due.AttemptCount,
				Status: models.DeliveryDelivered, SentAt: time.Now(),
			}
			if due.RunAttempt == 0 && rand.IntN(4) == 0 {
				r.Status = models.DeliveryPending
			}
			results = append(results, r)
		}
		if _, err := d.Complete(ctx, results); err != nil {
			return err
		}
		if _, err := d.Heartbeat(ctx, []Beat{{LaneKey: lane.LaneKey, Epoch: lane.Epoch, Health: HealthSuccess}}); err != nil {
			return err
		}
		released, err := d.Release(ctx, []Release{{LaneKey: lane.LaneKey, Epoch: lane.Epoch, Touches: fetched[0].Touches, Ordered: lane.Ordered}})
		if err != nil || len(released) == 1 {
			return err
		}
	}
	return nil
}

// unlessOver drops the error of a statement that the end of the test cut off.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
