package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is everything that a benchmark has to say.
type Report struct {
	Machine   Machine   `json:"machine"`
	StartedAt time.Time `json:"started_at"`
	// Duration is how long one run of a load lasts, in seconds.
	Duration float64   `json:"duration_s"`
	Rounds   int       `json:"rounds"`
	Results  []Result  `json:"results"`
	Missing  []Missing `json:"missing"`
}

// Machine is where the figures come from. Figures of two machines, or of two
// days, do not compare; ratios do.
type Machine struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CPUs     int    `json:"cpus"`
	Go       string `json:"go"`
	Postgres string `json:"postgres"`
	// Settings are those of PostgreSQL that are not this benchmark's defaults.
	Settings map[string]string `json:"postgres_settings,omitempty"`
	// Clients is the number of pgbench clients that was the fastest.
	Clients int `json:"pgbench_clients,omitempty"`
}

// Missing is a scenario without a result.
type Missing struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Failed tells a scenario that broke from one that cannot run here.
	Failed bool `json:"failed"`
}

// WriteJSON writes one JSON object.
func (r *Report) WriteJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteTable writes a table for a terminal.
func (r *Report) WriteTable(out io.Writer) error {
	postgres := r.Machine.Postgres
	for _, name := range slices.Sorted(maps.Keys(r.Machine.Settings)) {
		postgres += " " + name + "=" + r.Machine.Settings[name]
	}
	fmt.Fprintf(out, "%s/%s, %d CPUs, %s, PostgreSQL %s; medians of %d alternating runs of %g s\n\n",
		r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.Go, postgres, r.Rounds, r.Duration)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tFIGURE\tP50\tP99\tMEMORY\tYARDSTICK\tRATIO\tGOAL\t\tWHAT")
	for i := range r.Results {
		fmt.Fprintln(table, r.Results[i].row())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, missing := range r.Missing {
		verb := "skipped"
		if missing.Failed {
			verb = "FAILED"
		}
		fmt.Fprintf(out, "\n%s %s: %s\n", missing.Name, verb, missing.Reason)
	}
	return nil
}

func (r *Result) row() string {
	what := r.Summary
	if r.Note != "" {
		what += " (" + r.Note + ")"
	}
	verdict := ""
	if r.Met != nil {
		verdict = "missed"
		if *r.Met {
			verdict = "met"
		}
	}
	return fmt.Sprintf("%s\t%s %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", r.Name, figure(r.Value), r.Unit,
		latency(r.P50), latency(r.P99), memory(r.Memory), cmp.Or(r.Yardstick, "-"), r.compared(),
		r.Goal.Text(r.Unit), verdict, what)
}

// compared is the ratio, or the difference where that is what the goal is about.
func (r *Result) compared() string {
	if r.Goal.MostAbove > 0 && r.Ratio > 0 {
		return fmt.Sprintf("%+.2f %s", r.Above, r.Unit)
	}
	return times(r.Ratio)
}

// Text says the goal of a figure in this unit, "-" for none.
func (g Goal) Text(unit Unit) string {
	var parts []string
	add := func(bound float64, text string) {
		if bound > 0 {
			parts = append(parts, text)
		}
	}
	add(g.Ratio, "≥ "+times(g.Ratio))
	add(g.MostRatio, "≤ "+times(g.MostRatio))
	add(g.MostAbove, "≤ +"+figure(g.MostAbove)+" "+string(unit))
	add(g.Most, "≤ "+figure(g.Most)+" "+string(unit))
	add(g.MostP99, "p99 ≤ "+figure(g.MostP99)+" ms")
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func times(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return strconv.FormatFloat(ratio, 'f', 2, 64) + "×"
}

func latency(millis float64) string {
	if millis == 0 {
		return "-"
	}
	return figure(millis) + " ms"
}

// memory lists the services' peaks: "api 41, dispatcher 30 MiB".
func memory(peaks map[string]float64) string {
	parts := make([]string, 0, len(peaks))
	for _, service := range slices.Sorted(maps.Keys(peaks)) {
		parts = append(parts, service+" "+strconv.FormatFloat(peaks[service], 'f', 0, 64))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ") + " MiB"
}

// figure keeps three digits or so.
func figure(value float64) string {
	switch {
	case value >= 100:
		return strconv.FormatFloat(value, 'f', 0, 64)
	case value >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	default:
		return strconv.FormatFloat(value, 'f', 2, 64)
	}
}
