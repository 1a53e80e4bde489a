package report

import (
	"slices"
	"time"
)

// Unit is what a figure counts.
type Unit string

// The units.
const (
	PerSecond    Unit = "/s"
	Milliseconds Unit = "ms"
	MiB          Unit = "MiB"
	Updates      Unit = "updates"
	Statements   Unit = "statements/s"
)

// Goal is what a figure should reach: all of what is given. The zero value is no
// goal.
type Goal struct {
	// Ratio is the least ratio to the yardstick, MostRatio the greatest.
	Ratio     float64 `json:"ratio,omitempty"`
	MostRatio float64 `json:"most_ratio,omitempty"`
	// MostAbove is how far the figure may lie above the yardstick's, in their unit.
	MostAbove float64 `json:"most_above,omitempty"`
	// Most is the greatest acceptable figure, in its unit, MostP99 the greatest
	// 99th percentile, in milliseconds.
	Most    float64 `json:"most,omitempty"`
	MostP99 float64 `json:"most_p99_ms,omitempty"`
}

// Run is one measurement.
type Run struct {
	Value float64 `json:"value"`
	// P50 and P99 are latencies in milliseconds, 0 where they are not known.
	P50 float64 `json:"p50_ms,omitempty"`
	P99 float64 `json:"p99_ms,omitempty"`
	// Memory is the peak resident size during the run, in MiB, by service; empty
	// where the system does not tell.
	Memory map[string]float64 `json:"memory_mib,omitempty"`
	// Also holds what the same run measured besides, by the name of the result.
	Also map[string]float64 `json:"also,omitempty"`
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
	// Ratio is the median of the ratios of runs beside each other, figure by
	// yardstick, and Above that of their differences, figure less yardstick.
	Ratio float64 `json:"ratio,omitempty"`
	Above float64 `json:"above,omitempty"`
	Goal  Goal    `json:"goal,omitzero"`
	// Met is missing where there is no goal or nothing to judge it by.
	Met  *bool `json:"met,omitempty"`
	Runs []Run `json:"runs"`
}

// New computes a result. beside has the yardstick's runs in the same rounds; it
// is nil where there is none to compare with.
func New(name, summary string, unit Unit, goal Goal, runs []Run, yardstick string, beside []Run) Result {
	r := Result{
		Name: name, Summary: summary, Unit: unit, Goal: goal, Yardstick: yardstick, Runs: runs,
		Run: Run{
			Value:  median(runs, func(run Run) float64 { return run.Value }),
			P50:    median(runs, func(run Run) float64 { return run.P50 }),
			P99:    median(runs, func(run Run) float64 { return run.P99 }),
			Memory: peaks(runs),
		},
	}
	if len(runs) > 0 {
		r.Note = runs[len(runs)-1].Note
	}
	compared := r.compare(beside)
	r.Met = r.judge(compared)
	return r
}

// compare reports whether there was anything to compare with.
func (r *Result) compare(beside []Run) bool {
	var ratios, differences []float64
	for i := range min(len(r.Runs), len(beside)) {
		if own, other := r.Runs[i].Value, beside[i].Value; other > 0 {
			ratios, differences = append(ratios, own/other), append(differences, own-other)
		}
	}
	itself := func(value float64) float64 { return value }
	r.Ratio, r.Above = median(ratios, itself), median(differences, itself)
	return len(ratios) > 0
}

// peaks takes the largest of each service.
func peaks(runs []Run) map[string]float64 {
	var most map[string]float64
	for _, run := range runs {
		for service, mib := range run.Memory {
			if most == nil {
				most = map[string]float64{}
			}
			most[service] = max(most[service], mib)
		}
	}
	return most
}

func (r *Result) judge(compared bool) *bool {
	g := r.Goal
	if g == (Goal{}) || !compared && (g.Ratio > 0 || g.MostRatio > 0 || g.MostAbove > 0) {
		return nil
	}
	atMost := func(value, bound float64) bool { return bound == 0 || value <= bound }
	met := r.Ratio >= g.Ratio && atMost(r.Ratio, g.MostRatio) && atMost(r.Above, g.MostAbove) &&
		atMost(r.Value, g.Most) && atMost(r.P99, g.MostP99)
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
