package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// offer gives a tenant's new lane n deliveries.
func offer(s *scheduler, business models.BusinessID, concurrency, n int) *lane {
	key := outbox.LaneKey{BusinessID: business, WebhookID: models.NewID[models.WebhookPrefix]()}
	s.hold(outbox.Lane{LaneKey: key, Epoch: 1, MaxConcurrency: concurrency}, &target{}, time.Now())
	l := s.lanes[key]
	jobs := make([]job, n)
	for i := range jobs {
		jobs[i] = job{lane: l, key: key, due: outbox.Due{ID: models.NewID[models.DeliveryPrefix](), Ready: true}}
	}
	s.fill(l, 1, outbox.Fetched{Held: true}, jobs, false)
	return l
}

// grab takes as many jobs as the scheduler gives without waiting.
func grab(s *scheduler) (jobs []job) {
	for {
		s.mu.Lock()
		l := s.pick(time.Now())
		if l == nil {
			s.mu.Unlock()
			return jobs
		}
		j := l.queue[0]
		l.queue = l.queue[1:]
		s.occupy(l, 1)
		s.relist(l)
		s.mu.Unlock()
		jobs = append(jobs, j)
	}
}

func tally(jobs []job) map[models.BusinessID]int {
	counts := map[models.BusinessID]int{}
	for _, j := range jobs {
		counts[j.key.BusinessID]++
	}
	return counts
}

func TestATenantLeavesAQuarterOfTheSlots(t *testing.T) {
	t.Parallel()
	s := newScheduler(100)
	big, small := models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()
	for range 20 {
		offer(s, big, 50, 100)
	}
	require.Equal(t, map[models.BusinessID]int{big: 75}, tally(grab(s)))
	offer(s, small, 50, 100)
	require.Equal(t, map[models.BusinessID]int{small: 25}, tally(grab(s)), "there is room for a newcomer at once")
}

func TestFreedSlotsGoToTenantsBelowTheirQuota(t *testing.T) {
	t.Parallel()
	s := newScheduler(100)
	big, small := models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()
	offer(s, big, 512, 1000)
	held := grab(s)
	require.Len(t, held, 75)
	offer(s, small, 10, 10)
	require.Equal(t, map[models.BusinessID]int{small: 10}, tally(grab(s)))
	for _, j := range held[:40] {
		s.finish(j, &answer{status: 200}, &verdict{status: models.DeliveryDelivered})
	}
	offer(s, small, 100, 100)
	// 35 and 10 are in flight: 15 more bring the small one to its quota, the other
	// 15 up to three quarters of the slots go to both in turn.
	require.Equal(t, map[models.BusinessID]int{small: 15 + 7, big: 8}, tally(grab(s)))
}

func TestLanesOfATenantTakeTurns(t *testing.T) {
	t.Parallel()
	s := newScheduler(40)
	business := models.NewID[models.BusinessPrefix]()
	lanes := map[*lane]int{}
	for range 5 {
		lanes[offer(s, business, 100, 100)] = 0
	}
	for _, j := range grab(s) {
		lanes[j.lane]++
	}
	for _, n := range lanes {
		require.Equal(t, 6, n)
	}
}

func TestSlowLanesShareAQuarter(t *testing.T) {
	t.Parallel()
	s := newScheduler(100)
	business := models.NewID[models.BusinessPrefix]()
	slow := offer(s, business, 100, 100)
	s.mu.Lock()
	s.observe(slow, time.Hour)
	require.True(t, slow.slow)
	s.mu.Unlock()
	grab(s)
	s.mu.Lock()
	// It was listed while it was fast; from its next turn on it is slow.
	require.LessOrEqual(t, slow.inFlight, 26)
	s.mu.Unlock()
	fast := offer(s, business, 100, 100)
	for _, j := range grab(s) {
		require.Same(t, fast, j.lane)
	}
	require.Greater(t, fast.inFlight, 40)
}

func TestNothingIsSentOnceTheLeaseIsUncertain(t *testing.T) {
	t.Parallel()
	s := newScheduler(10)
	l := offer(s, models.NewID[models.BusinessPrefix](), 10, 10)
	s.mu.Lock()
	l.trusted = time.Now()
	s.mu.Unlock()
	require.Empty(t, grab(s))
	s.renew(map[outbox.LaneKey]*lane{l.LaneKey: l}, []outbox.Kept{{LaneKey: l.LaneKey, Epoch: 1}}, time.Now())
	require.NotEmpty(t, grab(s))
	s.renew(map[outbox.LaneKey]*lane{l.LaneKey: l}, nil, time.Now())
	require.Empty(t, grab(s), "a lane that the heartbeat did not find is lost")
	require.Empty(t, l.queue)
}

func TestAProbingLaneSendsOneAtATime(t *testing.T) {
	t.Parallel()
	s := newScheduler(10)
	l := offer(s, models.NewID[models.BusinessPrefix](), 10, 0)
	l.breaker.failures = breakerThreshold
	jobs := []job{{lane: l, due: outbox.Due{ID: models.NewID[models.DeliveryPrefix]()}}, {lane: l, due: outbox.Due{ID: models.NewID[models.DeliveryPrefix]()}}}
	s.fill(l, 1, outbox.Fetched{Held: true}, jobs, false)
	probe := grab(s)
	require.Len(t, probe, 1)
	s.finish(probe[0], &answer{status: 200}, &verdict{status: models.DeliveryDelivered})
	require.Len(t, grab(s), 1)
	require.False(t, l.breaker.probing())
}
