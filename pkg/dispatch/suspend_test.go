package dispatch

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	businesses "github.com/txn-service/txn/pkg/tenant"
	"github.com/txn-service/txn/pkg/webhook"
)

func (k *kit) suspend(business models.BusinessID) {
	k.t.Helper()
	require.NoError(k.t, k.db.InTx(k.t.Context(), func(tx *gorm.DB) error {
		_, err := businesses.Suspend(k.t.Context(), tx, "operator:ada", business)
		return err
	}))
}

func (k *kit) resume(business models.BusinessID) {
	k.t.Helper()
	require.NoError(k.t, k.db.InTx(k.t.Context(), func(tx *gorm.DB) error {
		_, err := businesses.Resume(k.t.Context(), tx, "operator:ada", business)
		return err
	}))
}

const waiting = `SELECT count(*) FROM webhook_deliveries WHERE business_id = $1 AND status = 'pending'`

// The dispatcher holds the lane of a business that is suspended in the middle of a
// backlog: what is in flight arrives, the rest waits, and nothing is lost.
func TestASuspendedBusinessGetsNothingUntilItIsResumed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business, neighbour := k.business(), k.business()
	// Slow enough that the holder hears of the suspension before the backlog is sent.
	r, other := k.receiver(business, func(f *webhook.Fields) { f.RateLimit = new(5) }), k.receiver(neighbour, nil)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	r.answer = func(http.ResponseWriter, *http.Request, string, int) {
		select {
		case arrived <- struct{}{}:
			<-release // the first alone
		default:
		}
	}
	k.start(nil)
	want := texts(k.events(business, 20))
	<-arrived
	k.suspend(business)
	close(release)
	k.eventually(10*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE business_id = $1 AND owner IS NULL`, business) == 1
	}, "the lane is given back")
	sent := len(r.received())
	require.Less(t, sent, 20)
	want = append(want, texts(k.events(business, 5))...)
	k.events(neighbour, 5)
	k.eventually(10*time.Second, func() bool { return len(other.received()) == 5 }, "the neighbour goes on")
	k.eventually(10*time.Second, func() bool { return k.count(waiting, business) == 25-sent }, "what is new gathers")
	require.Len(t, r.received(), sent)

	k.resume(business)
	k.settled(20 * time.Second)
	require.ElementsMatch(t, want, r.received(), "each once")
}

// A dispatcher that crashes while it holds the lane leaves the lane blocked to its
// heir.
func TestASuspendedBusinessGetsNothingFromAnHeir(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business, neighbour := k.business(), k.business()
	r, other := k.receiver(business, nil), k.receiver(neighbour, nil)
	k.events(business, 5)
	for part := range int16(outbox.Parts) {
		_, err := outbox.NewDispatcher(k.db).FanOut(k.t.Context(), part)
		require.NoError(t, err)
	}
	k.suspend(business)
	// As a crashed holder leaves it: its lease is over, and nobody has released it.
	k.exec(`UPDATE webhook_lanes SET owner = gen_random_uuid(), epoch = 1, due_at = now() WHERE business_id = $1`, business)
	k.start(nil)
	k.eventually(10*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE business_id = $1 AND epoch = 2 AND owner IS NULL AND due_at = 'infinity'`, business) == 1
	}, "claimed and given back")
	k.events(neighbour, 5)
	k.eventually(10*time.Second, func() bool { return len(other.received()) == 5 }, "the neighbour goes on")
	require.Empty(t, r.received())
	k.resume(business)
	k.settled(10 * time.Second)
	require.Len(t, r.received(), 5)
}

// An answer that comes late from where the endpoint was says nothing about where it
// is, which gets what was on its way to the other.
func TestAGoneFormerURLDisablesNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	former := k.receiver(business, nil)
	present := k.receiver(k.business(), nil)
	present.verifier = former.verifier
	arrived, release := make(chan struct{}), make(chan struct{})
	former.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		arrived <- struct{}{}
		<-release
		w.WriteHeader(http.StatusGone)
	}
	stop := k.start(nil)
	k.events(business, 1)
	<-arrived
	_, err := k.store.Update(k.db.Gorm, business, former.row.ID, webhook.Patch{URL: &present.URL})
	require.NoError(t, err)
	close(release)
	k.settled(10 * time.Second)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_attempts WHERE status_code = 410`))
	require.Equal(t, former.received(), present.received(), "the same delivery, where the endpoint is now")
	k.events(business, 1)
	k.eventually(10*time.Second, func() bool { return len(present.received()) == 2 }, "the endpoint goes on there")
	stop() // whatever it was about to do is done
	require.Zero(t, k.count(`SELECT count(*) FROM webhooks WHERE status = 'disabled'`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_events WHERE type = 'webhook.disabled'`))
}
