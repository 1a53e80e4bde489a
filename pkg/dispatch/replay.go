package dispatch

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/outbox"
)

const (
	// replayRetry is how long a replay rests whose database is away.
	replayRetry = time.Second
	// replayBusy is for replays that are due but in other hands.
	replayBusy = 50 * time.Millisecond
	// replayIdle is for a process without replays: it is told of new ones.
	replayIdle = time.Hour
)

// replay works off the replays that were asked for, a step at a time and beside
// all other dispatchers, until ctx ends.
func (d *Dispatcher) replay(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.replays:
		case <-timer.C:
		}
		timer.Reset(d.replayDue(ctx))
	}
}

// replayDue does the steps that are due and returns when to look again.
func (d *Dispatcher) replayDue(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		in, waiting, err := d.store.NextReplay(ctx)
		switch {
		case err != nil:
			d.trouble(ctx, "replay", err)
			return replayRetry
		case !waiting:
			return replayIdle
		case in > 0:
			return in
		}
		done, ok, err := d.store.StepReplay(ctx)
		if err != nil {
			d.trouble(ctx, "replay", err)
			return replayBusy // the step's replay has been put off, others may be due
		}
		if !ok {
			return replayBusy
		}
		d.replayed(ctx, &done)
	}
	return replayRetry
}

// replayed hurries what a step has made due, and logs the end of a replay.
func (d *Dispatcher) replayed(ctx context.Context, done *outbox.ReplayStep) {
	if done.Mine {
		d.scheduler.poke(outbox.LaneKey{BusinessID: done.BusinessID, WebhookID: done.Webhook})
	}
	if done.Due {
		signal(d.claim)
	}
	if len(done.Foreign) > 0 {
		if err := d.store.NotifyLanes(ctx, done.Foreign, false); err != nil {
			d.trouble(ctx, "notify", err) // the holder's next heartbeat tells it too
		}
	}
	if done.Status != "" && !done.Status.Open() {
		d.log.WithField("business", done.BusinessID.String()).WithField("replay", done.ReplayID.String()).
			WithField("status", string(done.Status)).Info("webhook replay ended")
	}
}
