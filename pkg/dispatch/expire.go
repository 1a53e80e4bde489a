package dispatch

import (
	"context"
	"errors"

	"github.com/txn-service/txn/pkg/outbox"
)

// expireBacklogs starts to end what is too old on lanes whose probe has failed. It
// takes a while for a large backlog, during which heartbeats must go on: each has
// a goroutine, and its lane stays held until that is done.
func (d *Dispatcher) expireBacklogs(ctx context.Context) {
	for _, l := range d.scheduler.expired() {
		key := l.LaneKey
		d.background.Go(func() {
			d.expire(ctx, key)
			d.scheduler.expiredNow(l)
		})
	}
}

// expired lists the lanes to do that for and marks them.
func (s *scheduler) expired() (lanes []*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		if !l.expire || l.expiring || l.lost || !l.quiet() {
			continue
		}
		if s.stopped {
			l.expire = false // whoever probes next does it
			continue
		}
		l.expiring = true
		lanes = append(lanes, l)
	}
	return lanes
}

func (s *scheduler) expiredNow(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.expire, l.expiring = false, false
	signal(s.keep)
}

// expire ends the part of a dead endpoint's backlog that is older than the whole
// schedule.
func (d *Dispatcher) expire(ctx context.Context, key outbox.LaneKey) {
	for {
		n, err := d.store.Expire(ctx, key, d.options.Schedule.Total())
		if err != nil {
			if !errors.Is(ctx.Err(), context.Canceled) {
				d.trouble(ctx, "expire", err)
			}
			return
		}
		if n > 0 {
			d.metrics.expired.Add(float64(n))
			d.log.WithField("webhook", key.WebhookID.String()).WithField("deliveries", n).
				Warn("deliveries ended: the endpoint failed for as long as the whole retry schedule")
		}
		if n < outbox.ExpireStep || d.scheduler.ended() {
			return
		}
	}
}
