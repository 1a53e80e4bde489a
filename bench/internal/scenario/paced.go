package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/bench/internal/stack"
)

// pacedRate is transfers per second.
const pacedRate = 1000

func pacedScenarios() []Scenario {
	return []Scenario{
		{
			Name: "paced", Summary: "latency of 1,000 transfers a second on schedule, nothing delivered (p99)",
			Unit:    report.Milliseconds,
			measure: measurePaced(false),
		},
		{
			Name: "paced-delivering", Summary: "paced, with the dispatcher delivering them all meanwhile (p99)",
			Unit: report.Milliseconds, Yardstick: "paced", Goal: report.Goal{MostRatio: 1.5},
			measure: measurePaced(true),
		},
	}
}

func measurePaced(delivering bool) func(context.Context, *Bench) (report.Run, error) {
	return func(ctx context.Context, b *Bench) (run report.Run, err error) {
		err = b.serve(ctx, "paced", delivering, func(s *site, api *stack.Service) error {
			tenant, err := s.tenant(ctx, api, accounts)
			if err != nil {
				return err
			}
			if _, err := b.pace(ctx, s, api, tenant, b.warm()); err != nil {
				return err
			}
			if delivering {
				if err := s.settle(ctx, patience); err != nil {
					return err
				}
			}
			b.receiver.Reset(nil)
			if run, err = b.pace(ctx, s, api, tenant, b.options.Duration); err != nil || !delivering {
				return err
			}
			run.Note = fmt.Sprintf("%.0f deliveries/s meanwhile", float64(b.receiver.Received())/b.options.Duration.Seconds())
			return s.requireAllDelivered(ctx)
		})
		return p99Run(run), err
	}
}

// pace is the open loop. A latency counts from when the request was due, so that
// a stall is seen by all requests that it holds up.
func (b *Bench) pace(
	ctx context.Context, s *site, api *stack.Service, tenant load.Tenant, duration time.Duration,
) (report.Run, error) {
	before, err := s.movements(ctx)
	if err != nil {
		return report.Run{}, err
	}
	var answered stopwatch
	made, err := load.OpenLoop(ctx, b.rate(pacedRate), duration, func(ctx context.Context, due time.Time) error {
		err := pay(ctx, api, tenant)
		answered.add(time.Since(due))
		return err
	})
	if err != nil {
		return report.Run{}, err
	}
	after, err := s.movements(ctx)
	if err != nil {
		return report.Run{}, err
	}
	if moved := (after - before) / 2; moved != made {
		return report.Run{}, fmt.Errorf("%w: %d transfers were confirmed, %d were made", errMiscounted, made, moved)
	}
	return answered.percentiles()
}
