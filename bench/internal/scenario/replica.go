package scenario

import (
	"context"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

func replicaScenarios() []Scenario {
	return []Scenario{{
		Name: "replicas", Summary: "uniform, half of the connections to each of two API processes", Unit: report.PerSecond,
		Yardstick: "uniform", Goal: report.Goal{Ratio: 0.9},
		prepare: prepareReplicas,
		measure: func(ctx context.Context, b *Bench) (report.Run, error) { return b.replicas(ctx, b.options.Duration) },
	}}
}

func prepareReplicas(ctx context.Context, b *Bench) error {
	if err := prepareMain(ctx, b); err != nil {
		return err
	}
	var err error
	if b.replica, err = b.stack.StartAPI(ctx, b.main.url); err != nil {
		return err
	}
	_, err = b.replicas(ctx, b.warm())
	return err
}

func (b *Bench) replicas(ctx context.Context, duration time.Duration) (report.Run, error) {
	l := load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections}
	return b.transferOn(ctx, b.main, []string{b.main.api.URL, b.replica.URL}, l, duration)
}
