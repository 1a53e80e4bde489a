package dispatch

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// crowdOf returns a scheduler with n busy lanes that have been held for a while.
func crowdOf(n int) *scheduler {
	s := newScheduler(100)
	business := models.NewID[models.BusinessPrefix]()
	for range n {
		offer(s, business, 1, 3).since = time.Now().Add(-time.Minute)
	}
	return s
}

func (s *scheduler) closing() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		if l.closing {
			n++
		}
	}
	return n
}

func TestLanesAboveTheShareAreGivenAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mine  int
		peers outbox.Peers
		given int
	}{
		"alone":                     {mine: 10},
		"beside one that is idle":   {mine: 10, peers: outbox.Peers{Count: 1}, given: 5},
		"beside one with less":      {mine: 10, peers: outbox.Peers{Count: 1, Lanes: 4, Fewest: 4}, given: 3},
		"beside one with as many":   {mine: 10, peers: outbox.Peers{Count: 1, Lanes: 9, Fewest: 9}},
		"below the share":           {mine: 2, peers: outbox.Peers{Count: 2, Lanes: 10, Fewest: 0}},
		"above it, of three":        {mine: 9, peers: outbox.Peers{Count: 2, Lanes: 4, Fewest: 1}, given: 4},
		"one lane cannot be halved": {mine: 1, peers: outbox.Peers{Count: 1}},
	} {
		s := crowdOf(c.mine)
		s.balance(c.peers, time.Now())
		require.Zero(t, s.closing(), "%s: once is chance", name)
		s.balance(c.peers, time.Now())
		require.Equal(t, c.given, s.closing(), name)
		require.Equal(t, c.given > 0, s.allowance() == 0, "%s: others claim first", name)
		s.balance(outbox.Peers{}, time.Now())
		require.Positive(t, s.allowance(), name)
	}
	s := crowdOf(2)
	s.balance(outbox.Peers{Count: 1, Lanes: 20, Fewest: 20}, time.Now())
	require.Equal(t, 11-2, s.allowance(), "one below its share takes no more than that at once")

	s = crowdOf(0)
	for range 10 {
		offer(s, models.NewID[models.BusinessPrefix](), 1, 3)
	}
	s.balance(outbox.Peers{Count: 1}, time.Now())
	s.balance(outbox.Peers{Count: 1}, time.Now())
	require.Zero(t, s.closing(), "what has only just come may be done soon")
}

func TestIdleLanesOfACrowdDoNotLinger(t *testing.T) {
	t.Parallel()
	s := newScheduler(10)
	crowd, other := models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()
	var last *lane
	for range lingering + 1 {
		last = offer(s, crowd, 1, 0)
	}
	few := offer(s, other, 1, 0)
	now := time.Now()
	for _, l := range s.lanes {
		l.hungry = false
	}
	require.False(t, s.idle(last, now))
	require.True(t, s.idle(last, now.Add(linger)))
	s.crowd(true)
	require.True(t, s.idle(last, now), "others wait for room")
	require.False(t, s.idle(few, now), "a tenant with few lanes keeps them")
	s.crowd(false)
	require.False(t, s.idle(last, now))
}

// recordLeasesSQL notes every lease that is ever given.
const recordLeasesSQL = `
CREATE TABLE leases (webhook_id uuid, epoch bigint, owner uuid);
CREATE FUNCTION record_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.owner IS NOT NULL THEN INSERT INTO leases VALUES (NEW.webhook_id, NEW.epoch, NEW.owner); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER record_lease AFTER UPDATE OF owner ON webhook_lanes FOR EACH ROW EXECUTE FUNCTION record_lease();`

// One dispatcher is at work on a backlog, others join it and leave again: the
// lanes are divided, nobody shares one, nothing is lost and nothing comes twice.
func TestDispatchersThatJoinGetTheirShare(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.exec(recordLeasesSQL)
	business := k.business()
	const lanes, each = 16, 400
	var divided atomic.Bool // until then there is work for half a minute
	r := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	r.answer = func(http.ResponseWriter, *http.Request, string, int) {
		if !divided.Load() {
			time.Sleep(75 * time.Millisecond)
		}
	}
	for range lanes - 1 {
		r.register(business, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	}
	r.lax = true // one receiver cannot verify for many secrets
	k.events(business, each)
	var all []*Dispatcher
	start := func() (stop func()) { return k.start(func(d *Dispatcher) { all = append(all, d) }) }
	start()
	k.eventually(10*time.Second, func() bool { return all[0].scheduler.busy() == lanes }, "one has them all")
	stops := []func(){start(), start(), start()}
	k.eventually(20*time.Second, func() bool {
		for _, d := range all {
			if n := d.scheduler.busy(); n < lanes/4-2 || n > lanes/4+2 {
				return false
			}
		}
		return true
	}, "each has about a quarter")
	for _, stop := range stops {
		stop()
	}
	k.eventually(5*time.Second, func() bool { return all[0].scheduler.busy() == lanes }, "the one that stays takes over at once")
	divided.Store(true)
	k.settled(60 * time.Second)
	require.Equal(t, lanes*each, r.total(), "everything, once")
	require.Zero(t, k.count(`SELECT count(*) FROM (SELECT FROM leases GROUP BY webhook_id, epoch HAVING count(*) > 1) twice`))
	require.Equal(t, 4, k.count(`SELECT count(DISTINCT owner) FROM leases`))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_dispatchers`), "the others took their leave")
}
