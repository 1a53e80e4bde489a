package dispatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// linger is how long an idle lane is kept.
const linger = 250 * time.Millisecond

// trust is how long a lease is certain after a claim or heartbeat was sent: it
// ends two seconds before the database's, whatever the clocks do.
const trust = outbox.Lease - 2*time.Second

// hold adds a claimed lane, or takes it up again when its lease had run out here
// and nobody else took it: what is in hand stays in hand.
func (s *scheduler) hold(row outbox.Lane, t *target, sentAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[row.LaneKey]
	if l == nil {
		l = &lane{inHand: make(map[models.DeliveryID]struct{}), tenant: s.tenantOf(row.BusinessID)}
		l.breaker.failures, l.BreakerResets = row.BreakerFailures, row.BreakerResets
		l.tenant.lanes++
		l.since = time.Now()
		s.lanes[row.LaneKey] = l
	}
	l.adopt(row, t)
	l.closing, l.lost, l.given, l.hold, l.blocked = s.stopped || row.Blocked, false, false, time.Time{}, row.Blocked
	l.hungry, l.trusted, l.idleFrom = true, sentAt.Add(trust), time.Now()
	signal(s.fetch)
}

func (s *scheduler) tenantOf(business models.BusinessID) *tenant {
	t := s.tenants[business]
	if t == nil {
		t = &tenant{}
		s.tenants[business] = t
	}
	return t
}

// forget removes a lane that was released or lost.
func (s *scheduler) forget(l *lane) {
	delete(s.lanes, l.LaneKey)
	l.lost = true
	if l.tenant.lanes--; l.tenant.lanes == 0 {
		delete(s.tenants, l.BusinessID)
	}
}

// poke marks held lanes as having new work; no keys means all.
func (s *scheduler) poke(keys ...outbox.LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if l := s.lanes[key]; l != nil {
			l.hungry = true
		}
	}
	if len(keys) == 0 {
		for _, l := range s.lanes {
			l.hungry = true
		}
	}
	signal(s.fetch)
}

// vacancies is how many more lanes the process can hold.
func (s *scheduler) vacancies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return 0
	}
	return max(0, s.most-len(s.lanes))
}

// crowd says whether lanes wait for room.
func (s *scheduler) crowd(waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crowded = waiting
	if waiting {
		signal(s.keep)
	}
}

const (
	// yieldAfter is how long a lane is held at least while others wait for room.
	yieldAfter = time.Second
	yieldBatch = 32
)

// yield closes lanes that have had their turn, so that lanes which wait for room
// get it: those of the tenants with the most lanes first, the longest held among
// them. What was fetched for them is still pending and due.
func (s *scheduler) yield(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var turns []*lane
	for _, l := range s.lanes {
		if l.closing || l.lost {
			continue
		}
		if now.Sub(l.since) >= yieldAfter {
			turns = append(turns, l)
		}
	}
	slices.SortFunc(turns, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(b.tenant.lanes, a.tenant.lanes), a.since.Compare(b.since))
	})
	for _, l := range turns[:min(len(turns), yieldBatch)] {
		l.close(0)
	}
	signal(s.keep)
}

// fresh returns the deliveries of an answer that are not in hand.
func (s *scheduler) fresh(l *lane, fetched outbox.Fetched) []outbox.Due {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range l.settled {
		l.inHand[id] = struct{}{}
	}
	var due []outbox.Due
	for _, d := range fetched.Due {
		if !d.Ready {
			break // nothing of an ordered lane overtakes its head
		}
		if _, held := l.inHand[d.ID]; !held {
			due = append(due, d)
		}
	}
	for _, id := range l.settled {
		delete(l.inHand, id)
	}
	return due
}

// fill queues what was fetched for a lane. more says that there is more to fetch.
func (s *scheduler) fill(l *lane, epoch int64, fetched outbox.Fetched, jobs []job, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.fetching = false
	settled := l.settled
	l.settled = nil
	if l.Epoch != epoch {
		l.hungry = true // taken up again meanwhile
		signal(s.fetch)
		return
	}
	if !fetched.Held {
		s.lose(l)
		return
	}
	l.touches = fetched.Touches
	if l.closing || l.lost {
		return
	}
	done := make(map[models.DeliveryID]struct{}, len(settled))
	for _, id := range settled {
		done[id] = struct{}{}
	}
	for _, j := range jobs {
		if _, over := done[j.due.ID]; over {
			continue
		}
		l.inHand[j.due.ID] = struct{}{}
		l.queue = append(l.queue, j)
		s.weigh(j.message)
	}
	l.hungry = l.hungry || more
	l.idleFrom = time.Now()
	s.relist(l)
	s.free.Signal()
}

// fetchRetry is the pause after a fetch that failed.
const fetchRetry = 100 * time.Millisecond

// failFetch makes a lane hungry again after a fetch that failed, and has it
// fetched again: nothing else would, as long as the lane is held and idle.
func (s *scheduler) failFetch(lanes []*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lanes {
		l.fetching, l.hungry, l.settled = false, true, nil
	}
	time.AfterFunc(fetchRetry, func() { signal(s.fetch) })
}

// lose stops sending on a lane that belongs to someone else. It is forgotten
// once nothing of it is in hand.
func (s *scheduler) lose(l *lane) {
	l.lost = true
	l.drop()
	if l.quiet() {
		s.forget(l)
	}
}
