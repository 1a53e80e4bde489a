package scenario

import (
	"context"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

func singleScenarios() []Scenario {
	return []Scenario{
		{
			Name: "raw-single", Summary: "latency of raw with one client (p50)", Unit: report.Milliseconds,
			prepare: prepareRaw,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				sample, err := b.raw.RunLatency(ctx, load.RawUniform, b.options.Duration)
				return p50Run(runOf(sample)), err
			},
		},
		{
			Name: "single", Summary: "latency of a transfer over HTTP with one connection (p50)", Unit: report.Milliseconds,
			Yardstick: "raw-single", Goal: report.Goal{MostAbove: 1.5},
			prepare: prepareMain,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				run, err := b.transfer(ctx, b.main.api.URL, load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: 1}, b.options.Duration)
				return p50Run(run), err
			},
		},
	}
}
