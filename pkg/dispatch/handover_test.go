package dispatch

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestAnEndpointThatOnlyFailedForFiveDaysIsDisabled(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	other := k.receiver(business, func(f *webhook.Fields) { f.EventTypes = []string{"webhook.disabled"} })
	r := k.receiver(business, nil)
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		w.WriteHeader(http.StatusInternalServerError)
	}
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '5 days 1 minute'::interval WHERE webhook_id = $1`, r.row.ID)
	k.start(nil)
	k.events(business, 1)
	k.eventually(15*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhooks WHERE status = 'disabled' AND disabled_reason LIKE '%five days%'`) == 1
	}, "it is disabled")
	k.settled(5 * time.Second)
	require.Len(t, other.received(), 1, "the other endpoint hears of it")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'failed'
		AND failure_reason = 'endpoint disabled: it has only failed for five days'`, r.row.ID))
}

func TestATenantWithMoreLanesThanAProcessHoldsLeavesRoom(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	crowd, other := k.business(), k.business()
	slow := k.receiver(crowd, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	slow.answer = func(http.ResponseWriter, *http.Request, string, int) { time.Sleep(30 * time.Millisecond) }
	const most = 200
	for range most + 40 {
		slow.verifier = nil
		slow.register(crowd, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	}
	quick := k.receiver(other, nil)
	k.events(crowd, 200) // half a minute of work for the lanes that are held first
	k.start(func(d *Dispatcher) { d.scheduler.most = most })
	k.eventually(10*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`) >= most }, "crowded")
	ids := k.events(other, 5)
	k.eventually(15*time.Second, func() bool { return quick.distinct() == len(ids) }, "another tenant gets room")
}

func TestWorkForLanesOfAnotherProcessReachesItAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	k.start(nil)
	k.start(nil)
	start := time.Now()
	for range 40 { // the lane lingers with one process, and either may fan out
		k.events(business, 1)
		time.Sleep(10 * time.Millisecond)
	}
	k.settled(5 * time.Second)
	require.Len(t, r.received(), 40)
	require.Less(t, time.Since(start), 4*time.Second)
}

// A dispatcher that loses its lease while requests are in flight sends nothing
// more, and what it reports late moves nothing but what it has delivered.
func TestAZombieSendsNothingMore(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency = 2 })
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	t.Cleanup(open)
	r.answer = func(_ http.ResponseWriter, _ *http.Request, _ string, n int) {
		if n == 1 {
			<-release
		}
	}
	var zombie *Dispatcher
	k.start(func(d *Dispatcher) { zombie = d; d.client.timeout = 20 * time.Second })
	k.events(business, 10)
	k.eventually(5*time.Second, func() bool { return r.distinct() == 2 }, "two are in flight")
	k.exec(`UPDATE webhook_lanes SET owner = gen_random_uuid(), epoch = epoch + 1, due_at = now() + '3 s'::interval`)
	signal(zombie.changed)
	k.eventually(5*time.Second, func() bool {
		zombie.scheduler.mu.Lock()
		defer zombie.scheduler.mu.Unlock()
		for _, l := range zombie.scheduler.lanes {
			return l.lost
		}
		return false
	}, "the heartbeat finds the lane lost")
	open()
	time.Sleep(200 * time.Millisecond)
	require.Len(t, r.received(), 2)
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`) == 2 }, "a 2xx is a fact")
	k.settled(15 * time.Second) // once the stranger's lease has run out
	require.Len(t, r.received(), 10, "nothing twice")
}

func TestIdleDispatcherAsksLittle(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.receiver(business, nil)
	k.start(nil)
	k.events(business, 1)
	k.settled(5 * time.Second)
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`) == 0 }, "idle")
	store := outbox.NewDispatcher(k.db)
	_, err := store.Probe(context.Background())
	require.NoError(t, err)
	before := k.db.Pool.Stat().AcquireCount()
	time.Sleep(3 * time.Second)
	require.LessOrEqual(t, k.db.Pool.Stat().AcquireCount()-before, int64(9), "a probe a second, a heartbeat every other")
}

func TestNewWorkDoesNotOvertakeTheWaitingHeadOfAnOrderedLane(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.Ordered = true })
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		if n == 1 && len(r.received()) == 1 {
			w.WriteHeader(http.StatusConflict)
		}
	}
	k.start(func(d *Dispatcher) { d.options.Schedule = webhook.Schedule{1500 * time.Millisecond} })
	first := k.events(business, 1)
	k.eventually(5*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_deliveries WHERE attempt_count = 1`) == 1
	}, "the head failed")
	second := k.events(business, 3) // makes the lane due before its head is
	k.settled(15 * time.Second)
	require.Equal(t, append(texts(first), append(texts(first), texts(second)...)...), r.received())
}

func TestAChangedEndpointIsReadAgainWhileItsLaneIsBusy(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r, second := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency = 1 }), k.receiver(k.business(), nil)
	second.verifier = r.verifier
	r.answer = func(http.ResponseWriter, *http.Request, string, int) { time.Sleep(50 * time.Millisecond) }
	k.start(nil)
	k.events(business, 60)
	k.eventually(5*time.Second, func() bool { return r.distinct() > 0 }, "busy")
	_, err := k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{URL: &second.URL})
	require.NoError(t, err)
	k.settled(10 * time.Second)
	require.Less(t, r.distinct(), 30)
	require.Equal(t, 60, r.distinct()+second.distinct())
	require.Empty(t, second.bad)
}
