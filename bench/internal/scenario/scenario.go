package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/txn-service/txn/bench/internal/report"
)

// Scenario is one figure.
type Scenario struct {
	Name, Summary string
	Unit          report.Unit
	// Yardstick is the scenario that the figure is compared with; empty for none.
	Yardstick string
	Goal      report.Goal
	// Also are more figures of the same runs.
	Also []Figure
	// Once says that one run is enough, in the first round.
	Once bool

	// prepare makes what the scenario needs, and warms it up. It runs once.
	prepare func(ctx context.Context, b *Bench) error
	// measure is one run.
	measure func(ctx context.Context, b *Bench) (report.Run, error)
}

// Figure is what a scenario measures besides its own; runs have it in Also under
// its name.
type Figure struct {
	Name, Summary string
	Unit          report.Unit
	Goal          report.Goal
}

// errSkip is wrapped by the errors of prepare that mean that there is nothing
// to measure, rather than that something is broken.
var errSkip = errors.New("nothing to measure")

// All lists the scenarios in the order in which they run in each round: each
// soon after its yardstick.
func All() []Scenario {
	return slices.Concat(
		transferScenarios(), replicaScenarios(), filledScenarios(), singleScenarios(), batchScenarios(),
		deliveryScenarios(), latencyScenarios(), pacedScenarios(), broadcastScenarios(), blackHoleScenarios(),
		idleScenarios(), pendingScenarios(),
	)
}

// Select returns the named scenarios, all if there are no names, and the
// yardsticks that they need.
func Select(names []string) ([]Scenario, error) {
	all := All()
	if len(names) == 0 {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, name := range names {
		for name != "" {
			found := find(all, name)
			if found == nil {
				return nil, fmt.Errorf("no scenario %q; there are: %s", name, strings.Join(namesOf(all), ", "))
			}
			wanted[name] = true
			name = found.Yardstick
		}
	}
	return slices.DeleteFunc(all, func(s Scenario) bool { return !wanted[s.Name] }), nil
}

func find(list []Scenario, name string) *Scenario {
	i := slices.IndexFunc(list, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

func namesOf(list []Scenario) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return names
}
