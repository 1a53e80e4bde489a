package dispatch

import (
	"net/http"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// An endpoint is resumed while a request from before the pause is still in flight:
// the others do not wait for its answer.
func TestAResumeDoesNotWaitForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.answer = func(_ http.ResponseWriter, _ *http.Request, id string, _ int) {
		if id == r.first() {
			close(arrived)
			<-release
		}
	}
	var d *Dispatcher
	k.start(func(started *Dispatcher) { d = started; d.client.timeout = time.Minute })
	t.Cleanup(func() { close(release) }) // before the dispatcher is stopped
	k.events(business, 1)
	<-arrived
	set := func(status models.WebhookStatus) {
		t.Helper()
		_, err := k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{Status: &status})
		require.NoError(t, err)
	}
	set(models.WebhookPaused)
	k.eventually(10*time.Second, func() bool { return d.scheduler.closing() == 1 }, "the holder hears of the pause")
	k.events(business, 5)
	k.eventually(10*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_deliveries`) == 6 }, "what is new gathers")
	require.Equal(t, 1, r.total())
	set(models.WebhookActive)
	k.eventually(20*time.Second, func() bool { return r.total() == 6 }, "the others arrive")
}

// first is the id of the first receipt.
func (r *receiver) first() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[0]
}

// renewed answers a heartbeat for a lane.
func renewed(s *scheduler, l *lane, blocked bool) {
	_, asked := s.beats()
	s.renew(asked, []outbox.Kept{{LaneKey: l.LaneKey, Epoch: l.Epoch, Touches: 1, Blocked: blocked}}, time.Now())
}

func TestOnlyWhatAPauseHasClosedIsOpenedByTheResume(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, between func(*scheduler, *lane)
		closing         bool
	}{
		"nothing else":         {nil, nil, false},
		"closed before":        {func(_ *scheduler, l *lane) { l.close(0) }, nil, true},
		"held back meanwhile":  {nil, func(s *scheduler, l *lane) { s.rest(l, time.Hour) }, true},
		"stopped meanwhile":    {nil, func(s *scheduler, _ *lane) { s.stop() }, true},
		"paused at the claim":  {func(s *scheduler, l *lane) { claimedBlocked(s, l) }, nil, false},
		"paused twice in this": {nil, func(s *scheduler, l *lane) { renewed(s, l, true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScheduler(10)
			l := offer(s, models.NewID[models.BusinessPrefix](), 4, 2)
			require.Len(t, grab(s), 2)
			if test.before != nil {
				test.before(s, l)
			}
			renewed(s, l, true)
			require.True(t, l.closing)
			if test.between != nil {
				test.between(s, l)
			}
			woken(s.fetch)
			renewed(s, l, false)
			require.Equal(t, test.closing, l.closing)
			require.Equal(t, !test.closing, woken(s.fetch))
			require.Len(t, first(s.hungryLanes(10)), map[bool]int{true: 0, false: 1}[test.closing])
		})
	}
}

// claimedBlocked takes the lane up again as a claim that finds its endpoint paused.
func claimedBlocked(s *scheduler, l *lane) {
	row := l.Lane
	row.Blocked = true
	s.hold(row, l.target, time.Now())
}

// Nobody else says that a lane has become due by its release: without this it would
// wait for the next poll.
func TestALaneThatIsDueAfterItsReleaseIsClaimedAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	endpoint := k.receiver(business, nil)
	d, err := New(k.db, Options{ListenURL: k.url, Keyring: k.keyring}, logrus.New()) // which does not run
	require.NoError(t, err)
	k.pending(business, endpoint.row.ID, 1, 0)
	require.True(t, d.claimLanes(t.Context(), 2))
	d.fetchLanes(t.Context())
	require.Equal(t, 1, d.scheduler.usage().queued)
	require.False(t, woken(d.claim))
	for _, l := range d.scheduler.lanes {
		d.scheduler.rest(l, 0)
	}
	require.False(t, d.giveBack(t.Context()))
	require.Zero(t, d.scheduler.usage().lanes)
	require.True(t, woken(d.claim))
}
