package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

const (
	warmShare = 20   // of the backlog, drained once before anything counts
	chunk     = 1000 // events of one statement
	// patience is how long deliveries may pause before a drain has failed: two
	// leases of a lane.
	patience = 20 * time.Second
)

// river runs the yardstick of deliveries in a database of its own.
func (b *Bench) river(ctx context.Context, jobs int) (report.Run, error) {
	path, err := b.stack.Program(ctx, "river")
	if err != nil {
		return report.Run{}, err
	}
	name := b.fresh("river")
	address, err := b.stack.CreateEmptyDatabase(ctx, name)
	if err != nil {
		return report.Run{}, err
	}
	b.receiver.Reset(nil)
	sample, err := load.River{
		Path: path, DatabaseURL: address, ReceiverURL: b.receiver.URL(), Jobs: jobs, BodyBytes: bodySize,
	}.Run(ctx)
	if received := b.receiver.Received(); err == nil && received != int64(jobs) {
		err = fmt.Errorf("%d jobs, but %d requests came in", jobs, received)
	}
	return runOf(sample), errors.Join(err, b.stack.DropDatabase(context.WithoutCancel(ctx), name))
}

func prepareDrain(endpoints int) func(context.Context, *Bench) error {
	return func(ctx context.Context, b *Bench) error {
		_, err := b.drain(ctx, endpoints, b.options.Events/warmShare)
		return err
	}
}

func measureDrain(endpoints int) func(context.Context, *Bench) (report.Run, error) {
	return func(ctx context.Context, b *Bench) (report.Run, error) {
		return b.drain(ctx, endpoints, b.options.Events)
	}
}

// drain lets an idle dispatcher send a backlog that appears all at once: fan-out
// and delivery. The rate is from the commit of the events to the last receipt.
func (b *Bench) drain(ctx context.Context, endpoints, events int) (run report.Run, err error) {
	s, err := b.newSite(ctx, b.fresh("drain"))
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, s.drop(ctx)) }()
	businesses, err := s.businesses(ctx, endpoints)
	if err != nil {
		return report.Run{}, err
	}
	dispatcher, err := b.stack.StartDispatcher(ctx, s.url)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(ctx)) }()
	notifier, stopNotifier := s.notifier(ctx)
	defer stopNotifier()
	b.receiver.Reset(nil)
	start, err := s.appendBacklog(ctx, businesses, events)
	if err != nil {
		return report.Run{}, fmt.Errorf("writing the backlog: %w", err)
	}
	notifier.Wake()
	end, err := b.receiver.Await(ctx, int64(events), patience)
	if err != nil {
		return report.Run{}, err
	}
	if err := s.settle(ctx, patience); err != nil {
		return report.Run{}, err
	}
	run.Value = float64(events) / end.Sub(start).Seconds()
	if more := b.receiver.Received() - int64(events); more > 0 {
		run.Note = fmt.Sprintf("%d sent twice", more)
	}
	return run, s.requireDelivered(ctx, int64(events))
}

// businesses makes businesses with one endpoint each. An endpoint that has the
// backlog to itself may take as many requests at once as there are.
func (s *site) businesses(ctx context.Context, n int) ([]models.BusinessID, error) {
	maxConcurrency := 0
	if n == 1 {
		maxConcurrency = webhook.MaxConcurrency
	}
	list := make([]models.BusinessID, n)
	for i := range list {
		var err error
		if list[i], _, err = s.business(ctx); err != nil {
			return nil, err
		}
		if err := s.ownEndpoint(ctx, list[i], maxConcurrency); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// appendBacklog writes events, of all businesses in turn, in one transaction and
// returns when it began to commit.
func (s *site) appendBacklog(ctx context.Context, businesses []models.BusinessID, events int) (time.Time, error) {
	backlog, err := makeEvents(businesses, events)
	if err != nil {
		return time.Time{}, err
	}
	tx, err := s.db.Pool.Begin(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // does nothing after a commit
	for len(backlog) > 0 {
		n := min(chunk, len(backlog))
		if err := outbox.AppendMany(ctx, tx, backlog[:n]); err != nil {
			return time.Time{}, err
		}
		backlog = backlog[n:]
	}
	start := time.Now()
	return start, tx.Commit(ctx)
}

// notifier tells dispatchers about events as an API does.
func (s *site) notifier(ctx context.Context) (notifier *outbox.Notifier, stop func()) {
	notifier = outbox.NewNotifier(s.db)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { notifier.Run(ctx) })
	return notifier, func() {
		cancel()
		running.Wait()
	}
}
