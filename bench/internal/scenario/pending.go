package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/bench/internal/stack"
	"github.com/txn-service/txn/pkg/models"
)

const (
	// pendingBusinesses have ten endpoints each: more lanes than one dispatcher
	// holds at once.
	pendingBusinesses = 100
	pendingEndpoints  = 10
	// pendingChunk is the events of one transaction.
	pendingChunk = 10_000
)

func pendingScenarios() []Scenario {
	return []Scenario{{
		Name: "pending", Summary: "peak memory of a dispatcher that sends while very many deliveries are pending (-pending)",
		Unit: report.MiB, Goal: report.Goal{Most: maxPeak}, Once: true,
		measure: measurePending,
	}}
}

// measurePending lets a dispatcher work on a backlog for a while. It need not
// finish.
func measurePending(ctx context.Context, b *Bench) (run report.Run, err error) {
	s, err := b.newSite(ctx, "pending")
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, s.drop(ctx)) }()
	if err := s.pile(ctx, b); err != nil {
		return run, err
	}
	before, err := s.states(ctx)
	if err != nil {
		return run, err
	}
	b.receiver.Reset(nil)
	dispatcher, err := b.stack.StartDispatcher(ctx, s.url)
	if err != nil {
		return run, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(b.options.Duration):
	}
	if err := errors.Join(context.Cause(ctx), dispatcher.Stop(ctx)); err != nil {
		return run, err
	}
	peak := b.stack.RecentPeaks()[stack.DispatcherName] // no other one has run meanwhile
	after, err := s.states(ctx)
	if err != nil {
		return run, err
	}
	received, delivered := b.receiver.Received(), after.delivered-before.delivered
	switch {
	case peak == 0:
		return run, fmt.Errorf("%w: this system does not tell a process's peak memory", errSkip)
	case after.failed > 0 || delivered == 0 || delivered > received || after.all != before.all:
		return run, fmt.Errorf("%w: %d of %d pending, then %d; %d received, %d delivered, %d failed",
			errLost, before.pending, before.all, after.pending, received, delivered, after.failed)
	}
	run.Value = float64(peak) / mib
	run.Note = fmt.Sprintf("%d pending at first, %d delivered meanwhile", before.pending, delivered)
	return run, nil
}

// pile writes the backlog, as an API and a dispatcher would have written it.
func (s *site) pile(ctx context.Context, b *Bench) error {
	businesses := make([]models.BusinessID, pendingBusinesses)
	for i := range businesses {
		var err error
		if businesses[i], _, err = s.business(ctx); err != nil {
			return err
		}
		url := func(e int) string { return fmt.Sprintf("%s/%s/%d", s.receiver.URL(), businesses[i], e) }
		if err := s.endpoints(ctx, businesses[i], pendingEndpoints, url); err != nil {
			return err
		}
	}
	events := b.options.Pending / pendingEndpoints
	for done := 0; done < events; {
		n := min(pendingChunk, events-done)
		if _, err := s.appendBacklog(ctx, businesses, n); err != nil {
			return err
		}
		if err := s.fanOut(ctx); err != nil {
			return err
		}
		done += n
		b.say("%d of %d deliveries are pending", done*pendingEndpoints, events*pendingEndpoints)
	}
	return s.tidy(ctx, "webhook_deliveries", "webhook_events", "webhook_outbox", "webhook_lanes")
}

// states counts deliveries.
type states struct{ all, pending, delivered, failed int64 }

func (s *site) states(ctx context.Context) (states, error) {
	var c states
	err := s.db.Pool.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE status = 'pending'),
		count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE status = 'failed') FROM webhook_deliveries`).
		Scan(&c.all, &c.pending, &c.delivered, &c.failed)
	return c, err
}
