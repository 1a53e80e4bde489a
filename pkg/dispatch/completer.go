package dispatch

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

const (
	maxCompletions = 256
	// completionWait is how long outcomes gather. Nobody waits for one but the next
	// delivery of an ordered endpoint, which is not made to: the endpoint has its slot
	// back when it has answered. At a thousand deliveries a second, 20 ms instead of 5
	// save a hundred transactions.
	completionWait = 20 * time.Millisecond
	// completionQueue bounds what waits to be written; slots wait when it is full.
	// A crash sends again what was in flight, what waited here and what was being
	// written, so more than the next batch would only mean more duplicates.
	completionQueue = maxCompletions
	maxBackoff      = 2 * time.Second
	// refusedHold is how long an endpoint waits after an outcome that the database
	// does not take.
	refusedHold = time.Minute
)

// complete writes outcomes in batches until the channel is closed. ctx ends the
// retries of a database that is away: the deliveries are still pending then.
func (d *Dispatcher) complete(ctx context.Context) {
	timer := time.NewTimer(completionWait)
	defer timer.Stop()
	for first := range d.completions {
		batch := append(make([]completion, 0, maxCompletions), first)
		timer.Reset(completionWait)
	gather:
		for len(batch) < maxCompletions && !batch[len(batch)-1].job.ordered {
			select {
			case next, open := <-d.completions:
				if !open {
					break gather
				}
				batch = append(batch, next)
			case <-timer.C:
				break gather
			}
		}
		d.flush(ctx, batch)
	}
}

// flush writes a batch and lets go of its deliveries. A batch that the database
// refuses is halved down to the result that it will not have.
func (d *Dispatcher) flush(ctx context.Context, batch []completion) {
	results := make([]outbox.Result, len(batch))
	for i := range batch {
		results[i] = batch[i].result
	}
	for attempt := 0; ; attempt++ {
		accepted, err := d.store.Complete(ctx, results)
		switch {
		case err == nil:
			d.settle(batch, accepted)
			return
		case ctx.Err() != nil:
			d.settle(batch, nil)
			return
		case !errs.Is(err, errs.Unavailable) && len(batch) > 1:
			d.flush(ctx, batch[:len(batch)/2])
			d.flush(ctx, batch[len(batch)/2:])
			return
		case !errs.Is(err, errs.Unavailable):
			d.log.WithError(err).WithField("delivery", batch[0].result.DeliveryID.String()).Error("outcome refused by the database")
			// Still pending and due: at once would be a loop.
			d.scheduler.rest(batch[0].job.lane, refusedHold)
			d.settle(batch, nil)
			return
		}
		d.trouble(ctx, "complete", err)
		select {
		case <-ctx.Done():
		case <-time.After(min(maxBackoff, 50*time.Millisecond<<min(attempt, 6))):
		}
	}
}

func (d *Dispatcher) settle(batch []completion, accepted []models.DeliveryID) {
	known := make(map[models.DeliveryID]bool, len(accepted))
	for _, id := range accepted {
		known[id] = true
	}
	jobs := make([]job, len(batch))
	gone := make(map[outbox.LaneKey]string)
	for i := range batch {
		jobs[i] = batch[i].job
		if batch[i].gone != "" {
			gone[batch[i].job.key] = batch[i].gone
		}
		if !known[batch[i].result.DeliveryID] {
			d.metrics.stale.Inc()
		}
		d.logAttempt(&batch[i], known[batch[i].result.DeliveryID])
	}
	d.scheduler.settle(jobs)
	// Only now: disabling ends what is pending, and an attempt that comes after that
	// is not logged.
	for key, address := range gone {
		d.background.Go(func() { d.gone(key, address) })
	}
}

// rest closes a lane for a while.
func (s *scheduler) rest(l *lane, hold time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.close(hold)
}
