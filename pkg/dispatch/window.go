package dispatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/txn-service/txn/pkg/outbox"
)

// What is fetched and not sent yet is bounded for all lanes together, so that a
// backlog of any size needs no more memory.
const (
	// windowJobs and windowBytes bound the deliveries in hand; beyond, a lane that
	// runs out gets fewAtOnce.
	windowJobs  = 8192
	windowBytes = 24 << 20
	fewAtOnce   = 8
	// firstGuess is what a body is taken to have before one has been seen.
	firstGuess = 2 << 10
)

// window is how many deliveries may be fetched in advance.
func (s *scheduler) window() int {
	return min(windowJobs, windowBytes/max(s.body, 512))
}

// weigh keeps the average size of bodies, the newest counting a thirty-second.
func (s *scheduler) weigh(m outbox.Message) {
	s.body += (len(m.Body) - s.body) / 32
}

// hungryLanes lists lanes to fetch for, those of the tenants with the fewest lanes
// first, and marks them as being fetched.
func (s *scheduler) hungryLanes(most int) ([]*lane, []outbox.Want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.window()
	var lanes []*lane
	for _, l := range s.lanes {
		room -= len(l.queue)
		if l.hungry && !l.fetching && !l.releasing && !l.closing && !l.lost && !(l.Ordered && len(l.inHand) > 0) {
			lanes = append(lanes, l)
		}
	}
	if len(lanes) > most {
		slices.SortFunc(lanes, func(a, b *lane) int { return cmp.Compare(a.tenant.lanes, b.tenant.lanes) })
	}
	var wants []outbox.Want
	listed := lanes
	lanes = lanes[:0]
	for _, l := range listed {
		ahead := l.quantum()
		if ahead > room {
			ahead = min(ahead, fewAtOnce)
		}
		if len(l.queue) > ahead/2 {
			continue
		}
		if len(lanes) == most {
			signal(s.fetch)
			break
		}
		room -= ahead
		l.hungry, l.fetching = false, true
		lanes = append(lanes, l)
		wants = append(wants, outbox.Want{LaneKey: l.LaneKey, Epoch: l.Epoch, Limit: ahead + len(l.inHand), Ordered: l.Ordered})
	}
	return lanes, wants
}

// idle reports that a lane can be given back. One that has run out of work lingers:
// at a steady trickle of events one lease serves many of them. While other lanes
// wait for room, only the first lanes of a tenant do.
func (s *scheduler) idle(l *lane, now time.Time) bool {
	if l.lost || l.releasing || l.expire || len(l.queue) > 0 || !l.quiet() {
		return false
	}
	if l.closing {
		return true
	}
	if l.hungry {
		return false
	}
	return s.crowded && l.tenant.lanes > lingering || now.Sub(l.idleFrom) >= linger
}

// lingering is how many lanes of a tenant linger although others wait for room.
const lingering = 16
