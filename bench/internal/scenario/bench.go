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
	// Stored is how many transactions the scenario filled finds.
	Stored int
	// Endpoints is how many endpoints a broadcast goes to.
	Endpoints int
	// Backlog is how many deliveries wait for an endpoint that never answers.
	Backlog int
	// Pending is how many deliveries wait for a dispatcher whose memory is measured.
	Pending int
	// Slower divides the rates of open loops, for tests on machines that are busy
	// with others; 0 divides nothing.
	Slower int
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
	replica  *stack.Service
	many     []load.Tenant

	empty, filled       *ledgerSite
	broadcast           *broadcastSite
	unharmed, blackHole *neighbourhood

	databases int            // made by fresh so far
	atEnd     []func() error // what is neither a server nor a process
}

const (
	// maxPeak is what API and dispatcher may take, in MiB.
	maxPeak = 128
	mib     = 1 << 20
	// stepLimit bounds one preparation and one run but for filling: what takes
	// longer is stuck.
	stepLimit = 5 * time.Minute
)

// New prepares a benchmark on running servers.
func New(s *stack.Stack, receiver *load.Receiver, options Options) *Bench {
	return &Bench{options: options, stack: s, receiver: receiver}
}

// Run measures the scenarios and reports. A scenario that fails is reported as
// missing; only the end of ctx and of the servers are errors.
func (b *Bench) Run(ctx context.Context, scenarios []Scenario) (_ *report.Report, err error) {
	defer func() {
		for _, end := range b.atEnd {
			err = errors.Join(err, end())
		}
	}()
	result := &report.Report{
		StartedAt: time.Now().UTC(), Duration: b.options.Duration.Seconds(), Rounds: b.options.Rounds,
		Results: []report.Result{}, Missing: []report.Missing{},
	}
	version, err := b.stack.Version(ctx)
	if err != nil {
		return nil, err
	}
	runs := map[string][]report.Run{}
	broken := map[string]bool{}
	limit := b.limit()
	attempt := func(s *Scenario, step func(ctx context.Context) error) {
		if broken[s.Name] || ctx.Err() != nil {
			return
		}
		err := within(ctx, limit, step)
		if err == nil || ctx.Err() != nil {
			return
		}
		broken[s.Name] = true
		b.say("%s: %v", s.Name, err)
		result.Missing = append(result.Missing, report.Missing{
			Name: s.Name, Reason: err.Error(), Failed: !errors.Is(err, errSkip),
		})
	}
	for i := range scenarios {
		s := &scenarios[i]
		attempt(s, func(ctx context.Context) error { return b.prepare(ctx, s) })
	}
	for round := range b.options.Rounds {
		for i := range scenarios {
			s := &scenarios[i]
			if s.Once && round > 0 {
				continue
			}
			attempt(s, func(ctx context.Context) error {
				run, err := b.measure(ctx, s)
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
	for i := range scenarios {
		if s := &scenarios[i]; len(runs[s.Name]) > 0 {
			result.Results = append(result.Results, s.results(runs[s.Name], runs[s.Yardstick])...)
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

// within runs a step and says so if it ended because it took too long.
func within(ctx context.Context, limit time.Duration, step func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than %s", limit))
	defer cancel()
	err := step(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// limit bounds one step: five minutes, and what filling takes. That is some 20 µs
// a row on a slow machine, and ten times that is allowed.
func (b *Bench) limit() time.Duration {
	const perRow = 200 * time.Microsecond
	rows := b.options.Stored + b.options.Pending + b.options.Backlog + b.options.Events
	return stepLimit + b.options.Duration + time.Duration(rows)*perRow
}

// measure is one run of a scenario, with the memory that it took.
func (b *Bench) measure(ctx context.Context, s *Scenario) (report.Run, error) {
	b.stack.ResetPeaks()
	run, err := s.measure(ctx, b)
	for service, peak := range b.stack.RecentPeaks() {
		if run.Memory == nil {
			run.Memory = map[string]float64{}
		}
		run.Memory[service] = float64(peak) / mib
	}
	return run, err
}

// results are the scenario's figures.
func (s *Scenario) results(runs, beside []report.Run) []report.Result {
	list := []report.Result{report.New(s.Name, s.Summary, s.Unit, s.Goal, runs, s.Yardstick, beside)}
	for _, figure := range s.Also {
		values := make([]report.Run, len(runs))
		for i, run := range runs {
			values[i].Value = run.Also[figure.Name]
		}
		list = append(list, report.New(figure.Name, figure.Summary, figure.Unit, figure.Goal, values, "", nil))
	}
	return list
}

// memory reports the peaks of everything that has run.
func (b *Bench) memory() []report.Result {
	peaks := b.stack.Peaks()
	var results []report.Result
	for _, name := range []string{stack.APIName, stack.DispatcherName} {
		if peak := peaks[name]; peak > 0 {
			results = append(results, report.New("memory-"+name, "peak resident memory of any "+name+" process in the whole run (VmHWM)",
				report.MiB, report.Goal{Most: maxPeak}, []report.Run{{Value: float64(peak) / mib}}, "", nil))
		}
	}
	return results
}

// warm is how long a load runs before it counts.
func (b *Bench) warm() time.Duration { return min(2*time.Second, b.options.Duration) }

// rate is what becomes of an open loop's rate.
func (b *Bench) rate(perSecond int) int {
	return max(1, perSecond/max(1, b.options.Slower))
}

func (b *Bench) say(format string, args ...any) {
	fmt.Fprintf(b.options.Progress, format+"\n", args...)
}

func runOf(s load.Sample) report.Run {
	return report.Run{Value: s.Rate, P50: report.Millis(s.P50), P99: report.Millis(s.P99)}
}
