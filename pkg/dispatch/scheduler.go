package dispatch

import (
	"sync"
	"time"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// scheduler decides which delivery a free slot sends next. Tenants take turns,
// and each tenant's lanes take turns. A tenant is entitled to a quarter of the
// slots: nobody above that gets one while someone below waits, and a quarter is
// kept free for whoever comes next. Slow lanes together hold at most a quarter.
type scheduler struct {
	mu       sync.Mutex
	free     sync.Cond // a slot may find work, or the scheduler has stopped
	slots    int
	most     int // lanes
	inFlight int
	slow     int
	stopped  bool
	lanes    map[outbox.LaneKey]*lane
	tenants  map[models.BusinessID]*tenant
	ring     []*tenant // tenants with listed lanes
	// crowded says that lanes waited when some were last claimed.
	crowded bool
	// share is how many busy lanes are this process's part, 0 when nobody has less;
	// uneven says that the last heartbeat found more than that.
	share  int
	uneven bool
	body   int // average size in bytes
	// fetch is told that a lane is hungry, keep that one can be released.
	fetch, keep chan struct{}
}

func newScheduler(slots int) *scheduler {
	s := &scheduler{
		slots: slots, most: maxLanes, body: firstGuess, lanes: make(map[outbox.LaneKey]*lane), tenants: make(map[models.BusinessID]*tenant),
		fetch: make(chan struct{}, 1), keep: make(chan struct{}, 1),
	}
	s.free.L = &s.mu
	return s
}

// signal wakes the goroutine behind a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take blocks until there is a delivery to send, and returns false once the
// scheduler has stopped.
func (s *scheduler) take() (job, *target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopped {
		if l := s.pick(time.Now()); l != nil {
			j := l.queue[0]
			j.resets, j.ordered = l.BreakerResets, l.Ordered
			l.queue[0] = job{}
			l.queue = l.queue[1:]
			s.occupy(l, 1)
			s.relist(l)
			if l.hungry && len(l.queue) <= l.quantum()/2 {
				signal(s.fetch)
			}
			if len(s.ring) > 0 {
				s.free.Signal() // one slot wakes the next while there is work
			}
			return j, l.target, true
		}
		s.free.Wait()
	}
	return job{}, nil, false
}

func (s *scheduler) occupy(l *lane, n int) {
	l.inFlight += n
	l.tenant.inFlight += n
	s.inFlight += n
	if l.slow {
		s.slow += n
	}
}

// pick finds the lane whose turn it is and takes it off the lists: of a tenant
// below its quota first, of any other one while that leaves a quarter free.
func (s *scheduler) pick(now time.Time) *lane {
	quarter := max(1, s.slots/4)
	if l := s.turn(now, func(t *tenant) bool { return t.inFlight < quarter }); l != nil {
		return l
	}
	if s.inFlight >= s.slots-quarter {
		return nil
	}
	return s.turn(now, func(*tenant) bool { return true })
}

// turn goes once round the tenants.
func (s *scheduler) turn(now time.Time, allowed func(*tenant) bool) *lane {
	for range len(s.ring) {
		t := s.ring[0]
		s.ring = s.ring[1:]
		var found *lane
		if allowed(t) {
			found = s.pickOf(t, now, s.slow < max(1, s.slots/4))
		}
		t.listed = t.waiting()
		if t.listed {
			s.ring = append(s.ring, t)
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// pickOf goes through the tenant's lanes, parking those whose rate limit makes
// them wait.
func (s *scheduler) pickOf(t *tenant, now time.Time, allowSlow bool) *lane {
	for {
		l := t.next(now, allowSlow)
		if l == nil {
			return nil
		}
		wait := l.pace(now)
		if wait == 0 {
			return l
		}
		l.parked = true
		time.AfterFunc(wait, func() { s.unpark(l) })
	}
}

func (s *scheduler) unpark(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.parked = false
	s.relist(l)
	s.free.Signal()
}

// relist puts a lane that can send on its tenant's list. The caller signals.
func (s *scheduler) relist(l *lane) {
	if l.listed || l.parked || !l.runnable(time.Now()) {
		return
	}
	l.tenant.list(l)
	if !l.tenant.listed {
		l.tenant.listed = true
		s.ring = append(s.ring, l.tenant)
	}
}

// finish takes the outcome of a job's attempt into account for its lane and
// frees the slot. The delivery stays in hand until settle.
func (s *scheduler) finish(j job, a *answer, v *verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := j.lane
	s.occupy(l, -1)
	s.judgeLane(l, j, a, v)
	s.observe(l, a.latency)
	l.idleFrom = time.Now()
	s.relist(l)
	s.free.Signal()
}

// observe moves what the lane has in flight between the accounts when it becomes
// slow or fast.
func (s *scheduler) observe(l *lane, latency time.Duration) {
	was := l.slow
	l.observe(latency)
	switch {
	case l.slow && !was:
		s.slow += l.inFlight
	case was && !l.slow:
		s.slow -= l.inFlight
	}
}

func (s *scheduler) judgeLane(l *lane, j job, a *answer, v *verdict) {
	if v.unsent {
		return
	}
	l.tally.Attempts++
	switch {
	case v.status == models.DeliveryDelivered:
		l.breaker.succeed()
		l.health = outbox.HealthSuccess
		l.tally.Successes++
		return
	case l.health != outbox.HealthSuccess:
		l.health = outbox.HealthFailure
	}
	if l.closing || j.resets != l.BreakerResets {
		return // it was in flight when the lane closed or its owner started afresh
	}
	switch {
	case v.gone:
		l.close(disableTimeout)
	case v.breaks:
		wasProbe := l.breaker.probing()
		if coolOff := l.breaker.fail(v.scheduled); coolOff > 0 {
			l.expire = wasProbe
			l.close(max(coolOff, v.hold))
		}
	case a.status != 0:
		l.breaker.succeed() // it lives, it just does not like what it gets
	}
	if v.hold > 0 || l.Ordered && v.status == models.DeliveryPending {
		l.close(v.hold) // an ordered lane waits for its head
	}
}

// settle forgets completed deliveries: the database shows them as they are now.
func (s *scheduler) settle(jobs []job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range jobs {
		l := j.lane
		delete(l.inHand, j.due.ID)
		if l.fetching {
			l.settled = append(l.settled, j.due.ID)
		}
		if l.closing && l.quiet() || s.crowded && s.idle(l, time.Time{}) {
			signal(s.keep)
		}
		if l.hungry && l.Ordered && len(l.inHand) == 0 {
			signal(s.fetch)
		}
	}
}

// stop makes every take return false and drops what has not been sent.
func (s *scheduler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, l := range s.lanes {
		l.close(0)
	}
	s.free.Broadcast()
}

// ended reports that stop has been called.
func (s *scheduler) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// usage is a snapshot for metrics and tests.
type usage struct{ lanes, inFlight, queued, probing int }

func (s *scheduler) usage() usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := usage{lanes: len(s.lanes), inFlight: s.inFlight}
	for _, l := range s.lanes {
		u.queued += len(l.queue)
		if l.breaker.probing() {
			u.probing++
		}
	}
	return u
}
