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
	// courtesy is how long a dispatcher leaves lanes beyond its share to those with
	// less. It bounds what a share costs that nobody takes: the peer may have just
	// died.
	courtesy = 100 * time.Millisecond
	// leastShare is what everybody may claim without courtesy.
	leastShare = 4
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

// balance works the share out; it holds until the next heartbeat. Lanes are given
// away when two heartbeats have seen a difference: those of a trickle are busy by
// chance.
func (s *scheduler) balance(peers outbox.Peers, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.countBusy()
	all, members := mine+peers.Lanes, peers.Count+1
	share := (all + members - 1) / members
	if peers.Count == 0 || min(mine, peers.Fewest) >= all/members {
		s.share, s.uneven = 0, false
		return
	}
	s.share = max(share, leastShare)
	again := s.uneven
	s.uneven = true
	if !again || mine <= share {
		return
	}
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

// allowance is how many lanes may be claimed before others have had their chance:
// what is missing to the share, or any number while nobody is short of lanes.
func (s *scheduler) allowance() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.share == 0 {
		return s.most
	}
	return max(0, s.share-s.countBusy())
}
