package scenario

import (
	"context"
	"fmt"

	"github.com/txn-service/txn/bench/internal/report"
)

// lanes is how many endpoints share a backlog.
const lanes = 100

func deliveryScenarios() []Scenario {
	return []Scenario{
		{
			Name: "delivering", Summary: "uniform, with the dispatcher sending meanwhile", Unit: report.PerSecond,
			Yardstick: "uniform",
			prepare:   prepareDelivering, measure: measureDelivering,
		},
		{
			Name: "river", Summary: "River: an HMAC and a 1 KB POST per job, 500 workers, from a backlog", Unit: report.PerSecond,
			prepare: func(ctx context.Context, b *Bench) error {
				_, err := b.river(ctx, b.options.Events/warmShare)
				return err
			},
			measure: func(ctx context.Context, b *Bench) (report.Run, error) { return b.river(ctx, b.options.Events) },
		},
		{
			Name: "drain", Summary: fmt.Sprintf("deliveries from a backlog to %d endpoints", lanes), Unit: report.PerSecond,
			Yardstick: "river", Goal: report.Goal{Ratio: 1},
			prepare: prepareDrain(lanes), measure: measureDrain(lanes),
		},
		{
			Name: "drain-one", Summary: "deliveries from a backlog to one endpoint", Unit: report.PerSecond,
			Yardstick: "river", Goal: report.Goal{Ratio: 0.5},
			prepare: prepareDrain(1), measure: measureDrain(1),
		},
	}
}
