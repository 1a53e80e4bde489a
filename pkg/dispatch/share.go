package dispatch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/txn-service/txn/pkg/outbox"
)

const (
	// settledAfter is how long a lane is held at least before it is given away:
	// one that is done sooner needs nobody else.
	settledAfter = time.Second
	// courtesy is how long a dispatcher with more than its share of lanes leaves
	// others that wait to those with less. It bounds what a share costs that
	// nobody takes: the peer may have just died.
	courtesy = 100 * time.Millisecond
)

// balance tells the other dispatchers how much this one has to do and learns it
// of them. What is above this one's share goes to those below theirs: lanes close
// and are released, due at once. Alone, a dispatcher keeps everything.
func (d *Dispatcher) balance(ctx context.Context) {
	peers, err := d.store.Appear(ctx, d.scheduler.busy())
	if err != nil {
		d.trouble(ctx, "presence", err)
		return
	}
	d.scheduler.balance(peers, time.Now())
}

// busy counts the lanes with work.
func (s *scheduler) busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.countBusy()
}

func (s *scheduler) countBusy() (n int) {
	for _, l := range s.lanes {
		if l.busy() {
			n++
		}
	}
	return n
}

// balance works the share out; it holds until the next heartbeat. A difference
// counts when two heartbeats have seen it: lanes of a trickle are busy by chance.
func (s *scheduler) balance(peers outbox.Peers, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.countBusy()
	all, members := mine+peers.Lanes, peers.Count+1
	share := (all + members - 1) / members
	if peers.Fewest >= all/members || mine <= share {
		s.share, s.uneven = 0, false
		return
	}
	if !s.uneven {
		s.uneven = true
		return
	}
	s.share = share
	var give []*lane
	for _, l := range s.lanes {
		if l.busy() && now.Sub(l.since) >= settledAfter && !l.breaker.probing() {
			give = append(give, l)
		}
	}
	// Those with the least in flight are free soonest.
	slices.SortFunc(give, func(a, b *lane) int { return cmp.Compare(a.inFlight, b.inFlight) })
	for _, l := range give[:min(mine-share, len(give))] {
		l.close(0)
		l.given = true
	}
	signal(s.keep)
}

// excess reports that this process has its share, so that others claim first.
func (s *scheduler) excess() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share > 0 && s.countBusy() >= s.share
}
