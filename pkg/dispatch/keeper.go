package dispatch

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/outbox"
)

const (
	beatInterval = 2 * time.Second
	keepInterval = 50 * time.Millisecond
)

// keep renews the leases of held lanes and gives back those with nothing to do,
// until ctx ends.
func (d *Dispatcher) keep(ctx context.Context) {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	var beaten time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.scheduler.keep:
		case <-d.changed:
			beaten = time.Time{}
		case <-tick.C:
		}
		if now := time.Now(); now.Sub(beaten) >= beatInterval {
			beaten = now
			d.beat(ctx)
			d.balance(ctx)
		}
		if d.giveBack(ctx) {
			beaten = time.Time{}
		}
	}
}

// beat renews all leases and learns what has changed.
func (d *Dispatcher) beat(ctx context.Context) {
	beats, lanes := d.scheduler.beats()
	if len(beats) == 0 {
		return
	}
	sentAt := time.Now()
	kept, err := d.store.Heartbeat(ctx, beats)
	if err != nil {
		d.trouble(ctx, "heartbeat", err)
		return
	}
	for _, change := range d.scheduler.renew(lanes, kept, sentAt) {
		d.reload(ctx, change)
	}
	for _, k := range kept {
		if k.Overdue {
			d.disableOverdue(ctx, k.LaneKey)
		}
	}
}

// beats lists what is held, with what has been learned since the last time.
func (s *scheduler) beats() ([]outbox.Beat, map[outbox.LaneKey]*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	beats := make([]outbox.Beat, 0, len(s.lanes))
	lanes := make(map[outbox.LaneKey]*lane, len(s.lanes))
	for key, l := range s.lanes {
		if l.lost {
			if l.quiet() {
				s.forget(l)
			}
			continue
		}
		beats = append(beats, outbox.Beat{LaneKey: key, Epoch: l.Epoch, Health: l.health, Tally: l.tally})
		lanes[key] = l
		l.health, l.tally = outbox.HealthUnknown, outbox.Tally{}
	}
	return beats, lanes
}

// renew takes the answer of a heartbeat in and returns the lanes whose endpoint
// has changed.
func (s *scheduler) renew(asked map[outbox.LaneKey]*lane, kept []outbox.Kept, sentAt time.Time) (changed []outbox.LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range kept {
		l := asked[k.LaneKey]
		delete(asked, k.LaneKey)
		if l.Epoch != k.Epoch {
			continue
		}
		l.trusted = sentAt.Add(trust)
		s.relist(l)
		if k.Touches != l.touches {
			if l.closing {
				l.touches = k.Touches // the new work waits as well
			} else if !l.hungry {
				l.hungry = true
				signal(s.fetch)
			}
		}
		switch {
		case k.Blocked:
			l.block()
		case l.blocked && !s.stopped && l.unblock():
			signal(s.fetch)
		}
		if k.ConfigVersion != l.ConfigVersion {
			changed = append(changed, k.LaneKey)
		}
	}
	for _, l := range asked {
		if s.lanes[l.LaneKey] == l {
			s.lose(l)
		}
	}
	s.free.Signal()
	return changed
}

// reload reads a changed endpoint.
func (d *Dispatcher) reload(ctx context.Context, key outbox.LaneKey) {
	rows, err := d.store.Reload(ctx, key)
	if err != nil || len(rows) == 0 {
		return // the next heartbeat tells again
	}
	t, err := newTarget(&rows[0], d.options.Keyring, d.clock.now())
	s := d.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[key]
	if l == nil || l.Epoch != rows[0].Epoch {
		return
	}
	if err != nil {
		d.log.WithError(err).WithField("webhook", key.WebhookID.String()).Error("endpoint cannot be sent to")
		l.close(unsendableHold)
		return
	}
	if l.Ordered != rows[0].Ordered {
		l.drop() // what was fetched may be in the wrong order
		l.hungry = true
	}
	l.adopt(rows[0], t)
	s.relist(l)
	signal(s.fetch)
	s.free.Signal()
}

// giveBack releases lanes that have been idle or have closed. It returns true
// when a closed one was refused: a heartbeat must tell its touches.
func (d *Dispatcher) giveBack(ctx context.Context) (refused bool) {
	d.expireBacklogs(ctx)
	releases, lanes := d.scheduler.releasable(time.Now())
	if len(releases) == 0 {
		return false
	}
	released, err := d.store.Release(ctx, releases)
	if err != nil {
		d.trouble(ctx, "release", err)
		d.scheduler.unrelease(lanes)
		return false
	}
	refused, given := d.scheduler.released(releases, lanes, released)
	due := false
	for _, r := range released {
		due = due || r.Due
		if r.Overdue {
			d.disableOverdue(ctx, r.LaneKey)
		}
	}
	if due || d.scheduler.vacancies() <= len(released) {
		signal(d.claim) // a lane has come by work while it was closing, or waited for room
	}
	if given {
		if err := d.store.NotifyLanes(ctx, nil, true); err != nil {
			d.trouble(ctx, "notify", err) // the others poll
		}
	}
	return refused
}

func (s *scheduler) releasable(now time.Time) (releases []outbox.Release, lanes []*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, l := range s.lanes {
		if !s.idle(l, now) {
			continue
		}
		l.releasing = true
		lanes = append(lanes, l)
		releases = append(releases, outbox.Release{
			LaneKey: key, Epoch: l.Epoch, Touches: l.touches, Block: max(0, l.hold.Sub(now)), Ordered: l.Ordered,
			BreakerFailures: l.breaker.failures, Health: l.health, Tally: l.tally,
		})
	}
	return releases, lanes
}

func (s *scheduler) unrelease(lanes []*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lanes {
		l.releasing = false
	}
	signal(s.fetch) // new work passed them over meanwhile
}

// released forgets the lanes that were given back, unless they have been claimed
// again in between. One that was refused is lost or has new work: it fetches, or
// if it has closed, needs a heartbeat. given says that some are for others.
func (s *scheduler) released(asked []outbox.Release, lanes []*lane, released []outbox.Released) (refused, given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := make(map[outbox.LaneKey]bool, len(released))
	for _, r := range released {
		free[r.LaneKey] = true
	}
	for i, l := range lanes {
		l.releasing = false
		switch {
		case l.Epoch != asked[i].Epoch || s.lanes[l.LaneKey] != l:
		case free[l.LaneKey]:
			given = given || l.given || s.stopped
			s.forget(l)
		case l.closing:
			refused = true
		default:
			l.hungry = true
		}
	}
	signal(s.fetch) // new work passed those over that are still here
	return refused, given
}
