package dispatch

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/outbox"
)

const (
	// maxLanes caps the lanes that a process holds, and with them its memory.
	maxLanes   = 1024
	claimBatch = 128
	// claimTimeout is how long a stopping process waits for its last claim.
	claimTimeout = 5 * time.Second
	fetchBatch   = 128
	// unsendableHold is how long an endpoint waits whose secret cannot be opened.
	unsendableHold = time.Minute
	// The poll behind the notifications.
	pollHealthy = time.Second
	pollDeaf    = 250 * time.Millisecond
	pollSoonest = 10 * time.Millisecond
	// pollCrowded is for a process that holds all lanes it can while others wait.
	pollCrowded = 100 * time.Millisecond
)

// look finds out where there is work whenever it is told so, and every now and
// then, until ctx ends.
func (d *Dispatcher) look(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.events:
		case <-timer.C:
		}
		timer.Reset(d.lookOnce(ctx))
	}
}

// lookOnce returns when to look again at the latest.
func (d *Dispatcher) lookOnce(ctx context.Context) time.Duration {
	poll := pollHealthy
	if !d.listener.Healthy() {
		poll = pollDeaf
	}
	waiting, err := d.store.Probe(ctx)
	if err != nil {
		d.trouble(ctx, "probe", err)
		return poll
	}
	for _, part := range waiting.Parts {
		signal(d.parts[part])
	}
	if waiting.Replay {
		signal(d.replays)
	}
	switch {
	case !waiting.Lane:
		return poll
	case waiting.LaneIn > 0:
		return min(poll, max(waiting.LaneIn, pollSoonest))
	case d.scheduler.vacancies() == 0:
		d.scheduler.crowd(true)
		d.scheduler.yield(time.Now())
		return pollCrowded
	default:
		signal(d.claim)
		return poll
	}
}

// fanOut moves events of one part from the outbox to deliveries whenever there are
// any, until ctx ends. The parts are other tenants: a broadcast in one does not
// keep the next waiting.
func (d *Dispatcher) fanOut(ctx context.Context, part int16) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.parts[part]:
		}
		if err := d.fanOutPart(ctx, part); err != nil {
			d.trouble(ctx, "fan-out", err) // the next poll finds it again
		}
	}
}

func (d *Dispatcher) fanOutPart(ctx context.Context, part int16) error {
	for more := true; more && ctx.Err() == nil; {
		result, err := d.store.FanOut(ctx, part)
		if err != nil {
			return err
		}
		more = result.More
		if len(result.Mine) > 0 {
			d.scheduler.poke(result.Mine...)
		}
		if result.Due {
			signal(d.claim)
		}
		elsewhere := result.Due && min(d.scheduler.allowance(), d.scheduler.vacancies()) == 0
		if len(result.Foreign) > 0 || elsewhere {
			if err := d.store.NotifyLanes(ctx, result.Foreign, elsewhere); err != nil {
				return err
			}
		}
	}
	return nil
}

// lease claims lanes that are due until ctx ends: at once what is missing to the
// process's share, the rest when others have had their chance.
func (d *Dispatcher) lease(ctx context.Context) {
	var late <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.claim:
			if !d.claimLanes(ctx, d.scheduler.allowance()) && late == nil {
				late = time.After(courtesy)
			}
		case <-late:
			late = nil
			d.claimLanes(ctx, claimBatch)
		}
	}
}

// fetch reads what is due on held lanes until ctx ends. Apart from lease: work
// for a lane that is held does not wait for the leases of others.
func (d *Dispatcher) fetch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.scheduler.fetch:
		}
		d.fetchLanes(ctx)
	}
}

// claimLanes claims up to so many lanes; it returns false when there may be more
// than it was allowed.
func (d *Dispatcher) claimLanes(ctx context.Context, allowed int) bool {
	limit := min(d.scheduler.vacancies(), claimBatch, allowed)
	if limit == 0 {
		return allowed > 0
	}
	if ctx.Err() != nil {
		return true
	}
	// A claim that is cut off when the process stops may have been made all the same,
	// and nobody would give its lanes back before their leases end.
	claiming, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	sentAt := time.Now()
	rows, err := d.store.Claim(claiming, limit)
	if err != nil {
		d.trouble(ctx, "claim", err)
		return true
	}
	for i := range rows {
		t, err := newTarget(&rows[i], d.options.Keyring, d.clock.now())
		if err != nil {
			d.log.WithError(err).WithField("webhook", rows[i].WebhookID.String()).Error("endpoint cannot be sent to")
		}
		d.scheduler.hold(rows[i], t, sentAt)
	}
	d.scheduler.crowd(len(rows) == limit)
	if len(rows) < limit {
		return true
	}
	signal(d.claim)
	return limit < allowed
}

func (d *Dispatcher) fetchLanes(ctx context.Context) {
	lanes, wants := d.scheduler.hungryLanes(fetchBatch)
	if len(lanes) == 0 {
		return
	}
	fetched, err := d.store.Fetch(ctx, wants)
	var fresh [][]job
	if err == nil {
		fresh, err = d.jobs(ctx, lanes, wants, fetched)
	}
	if err != nil {
		d.trouble(ctx, "fetch", err)
		d.scheduler.failFetch(lanes)
		return
	}
	for i, l := range lanes {
		more := len(fetched[i].Due) >= wants[i].Limit && len(fresh[i]) > 0
		d.scheduler.fill(l, wants[i].Epoch, fetched[i], fresh[i], more)
	}
}

// jobs joins what is due and not in hand with the events to send.
func (d *Dispatcher) jobs(ctx context.Context, lanes []*lane, wants []outbox.Want, fetched []outbox.Fetched) ([][]job, error) {
	due := make([][]outbox.Due, len(lanes))
	seen := make(map[outbox.EventKey]bool)
	var keys []outbox.EventKey
	for i, l := range lanes {
		due[i] = d.scheduler.fresh(l, fetched[i])
		for _, one := range due[i] {
			if key := (outbox.EventKey{BusinessID: wants[i].BusinessID, EventID: one.EventID}); !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
	}
	jobs := make([][]job, len(lanes))
	if len(keys) == 0 {
		return jobs, nil
	}
	messages, err := d.store.Messages(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i, l := range lanes {
		jobs[i] = make([]job, len(due[i]))
		for n, one := range due[i] {
			jobs[i][n] = job{lane: l, key: wants[i].LaneKey, due: one, message: messages[outbox.EventKey{BusinessID: wants[i].BusinessID, EventID: one.EventID}]}
		}
	}
	return jobs, nil
}
