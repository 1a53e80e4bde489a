package scenario

import (
	"context"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/bench/internal/stack"
)

const (
	latencyRate     = 200 // transfers per second
	latencyFullRate = 2000
	latencyAccounts = 100
)

func latencyScenarios() []Scenario {
	return []Scenario{
		{
			Name: "latency", Summary: "commit to receipt at 200 transfers a second (p50)", Unit: report.Milliseconds,
			Goal:    report.Goal{Most: 15, MostP99: 50},
			measure: measureLatency(latencyRate),
		},
		{
			Name: "latency-2000", Summary: "commit to receipt at 2,000 transfers a second (p50)", Unit: report.Milliseconds,
			Goal:    report.Goal{MostP99: 250},
			measure: measureLatency(latencyFullRate),
		},
	}
}

// measureLatency sends transfers at a fixed rate and takes the time to the
// receipt of each one's event.
func measureLatency(rate int) func(context.Context, *Bench) (report.Run, error) {
	return func(ctx context.Context, b *Bench) (run report.Run, err error) {
		err = b.serve(ctx, "latency", true, func(s *site, api *stack.Service) error {
			tenant, err := s.tenant(ctx, api, latencyAccounts)
			if err != nil {
				return err
			}
			if _, err := b.receipts(ctx, s, api, tenant, rate, b.warm()); err != nil {
				return err
			}
			run, err = b.receipts(ctx, s, api, tenant, rate, b.options.Duration)
			return err
		})
		return p50Run(run), err
	}
}

// receipts runs the open loop and waits for every event.
func (b *Bench) receipts(
	ctx context.Context, s *site, api *stack.Service, tenant load.Tenant, rate int, duration time.Duration,
) (report.Run, error) {
	if err := s.settle(ctx, patience); err != nil {
		return report.Run{}, err
	}
	var seen stopwatch
	b.receiver.Reset(seen.event)
	defer b.receiver.Reset(nil)
	made, err := load.OpenLoop(ctx, b.rate(rate), duration, func(ctx context.Context, _ time.Time) error {
		return pay(ctx, api, tenant)
	})
	if err != nil {
		return report.Run{}, err
	}
	if _, err := b.receiver.Await(ctx, made, patience); err != nil {
		return report.Run{}, err
	}
	if err := s.requireAllDelivered(ctx); err != nil {
		return report.Run{}, err
	}
	return seen.percentiles()
}
