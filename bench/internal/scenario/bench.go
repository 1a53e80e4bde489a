package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/bench/internal/stack"
)

// Options say how to measure.
type Options struct {
	// Duration is how long one run of a load lasts, in whole seconds.
	Duration time.Duration
	// Rounds is how many runs each scenario gets.
	Rounds int
	// Events is the backlog that is drained.
	Events int
	// ProfileDir receives a CPU profile of the API under the uniform load; empty
	// for none.
	ProfileDir string
	// Progress receives a line for each step.
	Progress io.Writer
}

// Bench is one benchmark. Its methods are for one goroutine.
type Bench struct {
	options  Options
	stack    *stack.Stack
	receiver *load.Receiver

	wrk     *load.Wrk
	raw     *load.Pgbench
	clients int // of pgbench, the fastest number

	// main is where transfers over HTTP are measured without deliveries.
	main     *site
	accounts load.Tenant
	limited  *stack.Service
	many     []load.Tenant

	drains int // databases made for drains so far
}

// maxPeak is what API and dispatcher may take, in MiB.
const maxPeak = 128

// New prepares a benchmark on running servers.
func New(s *stack.Stack, receiver *load.Receiver, options Options) *Bench {
	return &Bench{options: options, stack: s, receiver: receiver}
}

// Run measures the scenarios and reports. A scenario that fails is reported as
// missing; only the end of ctx and of the servers are errors.
func (b *Bench) Run(ctx context.Context, scenarios []Scenario) (*report.Report, error) {
	result := &report.Report{
		StartedAt: time.Now().UTC(), Duration: b.options.Duration.Seconds(), Rounds: b.options.Rounds,
		Results: []report.Result{}, Missing: []report.Missing{},
	}
	version, err := b.stack.PostgresVersion(ctx)
	if err != nil {
		return nil, err
	}
	runs := map[string][]report.Run{}
	broken := map[string]bool{}
	attempt := func(s *Scenario, step func() error) {
		if broken[s.Name] || ctx.Err() != nil {
			return
		}
		if err := step(); err != nil && ctx.Err() == nil {
			broken[s.Name] = true
			b.say("%s: %v", s.Name, err)
			result.Missing = append(result.Missing, report.Missing{
				Name: s.Name, Reason: err.Error(), Failed: !errors.Is(err, errSkip),
			})
		}
	}
	for i := range scenarios {
		s := &scenarios[i]
		attempt(s, func() error { return b.prepare(ctx, s) })
	}
	for round := range b.options.Rounds {
		for i := range scenarios {
			s := &scenarios[i]
			attempt(s, func() error {
				run, err := s.measure(ctx, b)
				if err != nil {
					return err
				}
				runs[s.Name] = append(runs[s.Name], run)
				b.say("round %d/%d  %-12s %10.4g %s", round+1, b.options.Rounds, s.Name, run.Value, s.Unit)
				return nil
			})
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, s := range scenarios {
		if len(runs[s.Name]) > 0 {
			result.Results = append(result.Results,
				report.New(s.Name, s.Summary, s.Unit, s.Goal, runs[s.Name], s.Yardstick, runs[s.Yardstick]))
		}
	}
	result.Results = append(result.Results, b.memory()...)
	result.Machine = report.Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Postgres: version, Clients: b.clients,
	}
	return result, nil
}

func (b *Bench) prepare(ctx context.Context, s *Scenario) error {
	if s.prepare == nil {
		return nil
	}
	b.say("preparing %s", s.Name)
	return s.prepare(ctx, b)
}

// memory reports the peaks of everything that has run.
func (b *Bench) memory() []report.Result {
	const mib = 1 << 20
	peaks := b.stack.Peaks()
	var results []report.Result
	for _, name := range []string{stack.APIName, stack.DispatcherName} {
		if peak := peaks[name]; peak > 0 {
			results = append(results, report.New("memory-"+name, "peak resident memory of any "+name+" process (VmHWM)",
				report.MiB, report.Goal{Most: maxPeak}, []report.Run{{Value: float64(peak) / mib}}, "", nil))
		}
	}
	return results
}

// warm is how long a load runs before it counts.
func (b *Bench) warm() time.Duration { return min(2*time.Second, b.options.Duration) }

func (b *Bench) say(format string, args ...any) {
	fmt.Fprintf(b.options.Progress, format+"\n", args...)
}

func runOf(s load.Sample) report.Run {
	return report.Run{Value: s.Rate, P50: report.Millis(s.P50), P99: report.Millis(s.P99)}
}
