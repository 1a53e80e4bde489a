package report

import (
	"slices"
	"time"
)

// Unit is what a figure counts. More is better for rates, less for the others.
type Unit string

// The units.
const (
	PerSecond    Unit = "/s"
	Milliseconds Unit = "ms"
	MiB          Unit = "MiB"
)

func (u Unit) lessIsBetter() bool { return u != PerSecond }

// Goal is what a figure should reach. The zero value is no goal.
type Goal struct {
	// Ratio is the least ratio to the yardstick.
	Ratio float64 `json:"ratio,omitempty"`
	// Most is the greatest acceptable figure, in the figure's unit. For a figure
	// with OfP99 it bounds the 99th percentile.
	Most float64 `json:"most,omitempty"`
	// OfP99 says that Most bounds the 99th percentile instead of the figure.
	OfP99 bool `json:"of_p99,omitempty"`
}

// Run is one measurement.
type Run struct {
	Value float64 `json:"value"`
	// P50 and P99 are latencies in milliseconds, 0 where they are not known.
	P50 float64 `json:"p50_ms,omitempty"`
	P99 float64 `json:"p99_ms,omitempty"`
	// Note says what else happened meanwhile.
	Note string `json:"note,omitempty"`
}

// Result is a figure: the medians of its runs.
type Result struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	Unit    Unit   `json:"unit"`
	Run
	// Yardstick names the result that this one is compared with.
	Yardstick string `json:"yardstick,omitempty"`
	// Ratio is the median of the ratios of runs beside each other. Above 1 is
	// better than the yardstick, whatever the unit.
	Ratio float64 `json:"ratio,omitempty"`
	Goal  Goal    `json:"goal,omitzero"`
	// Met is missing where there is no goal or nothing to judge it by.
	Met  *bool `json:"met,omitempty"`
	Runs []Run `json:"runs"`
}

// New computes a result. yardstick has the runs beside runs; it is nil where
// there is none to compare with.
func New(name, summary string, unit Unit, goal Goal, runs []Run, yardstick string, beside []Run) Result {
	r := Result{
		Name: name, Summary: summary, Unit: unit, Goal: goal, Yardstick: yardstick, Runs: runs,
		Run: Run{
			Value: median(runs, func(run Run) float64 { return run.Value }),
			P50:   median(runs, func(run Run) float64 { return run.P50 }),
			P99:   median(runs, func(run Run) float64 { return run.P99 }),
		},
	}
	if len(runs) > 0 {
		r.Note = runs[len(runs)-1].Note
	}
	r.Ratio = ratio(runs, beside, unit)
	r.Met = r.judge()
	return r
}

func ratio(runs, beside []Run, unit Unit) float64 {
	var ratios []float64
	for i := range min(len(runs), len(beside)) {
		above, below := runs[i].Value, beside[i].Value
		if unit.lessIsBetter() {
			above, below = below, above
		}
		if below > 0 {
			ratios = append(ratios, above/below)
		}
	}
	return median(ratios, func(value float64) float64 { return value })
}

func (r *Result) judge() *bool {
	met := true
	switch {
	case r.Goal.Ratio > 0 && r.Ratio > 0:
		met = r.Ratio >= r.Goal.Ratio
	case r.Goal.Most > 0 && r.Goal.OfP99:
		met = r.P99 <= r.Goal.Most
	case r.Goal.Most > 0:
		met = r.Value <= r.Goal.Most
	default:
		return nil
	}
	return &met
}

// median is the middle value, the mean of the two in the middle of an even
// number, 0 of nothing.
func median[T any](list []T, value func(T) float64) float64 {
	values := make([]float64, len(list))
	for i, item := range list {
		values[i] = value(item)
	}
	slices.Sort(values)
	n := len(values)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	default:
		return (values[n/2-1] + values[n/2]) / 2
	}
}

// Millis converts a latency to a figure.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
