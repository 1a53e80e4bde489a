package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/bench/internal/stack"
)

const (
	latencyRate     = 200 // transfers per second
	latencyAccounts = 100
)

func prepareLatency(ctx context.Context, b *Bench) error {
	_, err := b.latency(ctx, b.warm())
	return err
}

func measureLatency(ctx context.Context, b *Bench) (report.Run, error) {
	return b.latency(ctx, b.options.Duration)
}

// latency sends transfers at a fixed rate and takes the time from the moment
// that the ledger writes into a transaction, which is just before its commit, to
// the receipt of its event. The commit is included, so the figure errs on the
// high side.
func (b *Bench) latency(ctx context.Context, duration time.Duration) (run report.Run, err error) {
	s, err := b.newSite(ctx, b.drainName("latency"))
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, b.drop(ctx, s)) }()
	api, err := b.stack.StartAPI(ctx, s.url)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, api.Stop(ctx)) }()
	dispatcher, err := b.stack.StartDispatcher(ctx, s.url)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(ctx)) }()
	tenant, err := s.tenant(ctx, api, latencyAccounts)
	if err != nil {
		return report.Run{}, err
	}
	if _, err := b.receipts(ctx, s, api, tenant, b.warm()); err != nil {
		return report.Run{}, err
	}
	latencies, err := b.receipts(ctx, s, api, tenant, duration)
	if err != nil {
		return report.Run{}, err
	}
	run.P50, run.P99 = report.Millis(load.Percentile(latencies, 50)), report.Millis(load.Percentile(latencies, 99))
	return latencyRun(run), nil
}

// receipts runs the open loop and returns the latency of every event.
func (b *Bench) receipts(
	ctx context.Context, s *site, api *stack.Service, tenant load.Tenant, duration time.Duration,
) ([]time.Duration, error) {
	if err := s.settle(ctx, patience); err != nil {
		return nil, err
	}
	var seen stopwatch
	b.receiver.Reset(seen.event)
	made, err := load.OpenLoop(ctx, latencyRate, duration, func(ctx context.Context) error {
		source := rand.IntN(len(tenant.Accounts))
		destination := (source + 1 + rand.IntN(len(tenant.Accounts)-1)) % len(tenant.Accounts)
		return post(ctx, api.URL+"/v1/transactions", tenant.Key, newTransaction{
			Type: "transfer", Source: tenant.Accounts[source], Destination: tenant.Accounts[destination], Amount: 1,
		})
	})
	if err != nil {
		return nil, err
	}
	if _, err := b.receiver.Await(ctx, made, patience); err != nil {
		return nil, err
	}
	b.receiver.Reset(nil)
	return seen.result()
}

// stopwatch gathers the latencies of events.
type stopwatch struct {
	mu        sync.Mutex
	latencies []time.Duration
	err       error
}

func (w *stopwatch) event(body []byte, at time.Time) {
	var event struct {
		CreatedAt time.Time `json:"created_at"`
	}
	err := json.Unmarshal(body, &event)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.err = fmt.Errorf("reading an event: %w", err)
		return
	}
	w.latencies = append(w.latencies, at.Sub(event.CreatedAt))
}

func (w *stopwatch) result() ([]time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latencies, w.err
}
