package bench

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Result is what was measured.
type Result struct {
	URL         string  `json:"url"`
	Mode        Mode    `json:"mode"`
	Connections int     `json:"connections"`
	Accounts    int     `json:"accounts"`
	TargetRate  float64 `json:"target_rate"`
	// Interrupted says that the load ended before its time.
	Interrupted bool    `json:"interrupted"`
	Seconds     float64 `json:"seconds"`
	// Requests counts those that were sent, Succeeded those that moved money.
	Requests  int64 `json:"requests"`
	Succeeded int64 `json:"succeeded"`
	// Unsent counts requests that were due when no connection was free.
	Unsent             int64   `json:"unsent"`
	RequestsPerSecond  float64 `json:"requests_per_second"`
	Movements          int64   `json:"movements"`
	MovementsPerSecond float64 `json:"movements_per_second"`
	// Latency is that of the requests that succeeded, from when they were due.
	Latency Latency `json:"latency_ms"`
	// Errors counts the others by the API's code, or `connection` and `timeout`.
	Errors       map[string]int64 `json:"errors"`
	Verification Verification     `json:"verification"`
	// Notes say what to make of it.
	Notes []string `json:"notes"`
}

// Latency is in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// dueSlack leaves out the requests that were due when the load was over as good as
// that.
const dueSlack = 100 * time.Millisecond

// rateLimited is the code of what the API refuses because it was asked too often.
const rateLimited = "rate_limited"

func (l *load) result() Result {
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds := l.ended.Sub(l.began).Seconds()
	failed := int64(0)
	for _, n := range r.errors {
		failed += n
	}
	succeeded := r.total.TotalCount()
	result := Result{
		URL: l.options.URL, Mode: l.options.Mode, Connections: l.options.Connections, Accounts: len(l.accounts.ids),
		TargetRate: l.options.Rate, Interrupted: l.interrupted, Seconds: rounded(seconds),
		Requests: succeeded + failed, Succeeded: succeeded, RequestsPerSecond: rounded(float64(succeeded) / seconds),
		Movements: r.movements, MovementsPerSecond: rounded(float64(r.movements) / seconds),
		Latency: Latency{
			P50: millis(at(r.total, 50)), P90: millis(at(r.total, 90)), P99: millis(at(r.total, 99)), P999: millis(at(r.total, 99.9)),
			Max: millis(time.Duration(r.total.Max()) * time.Microsecond),
		},
		Errors: r.errors, Notes: []string{},
	}
	if l.options.Rate > 0 {
		due := int64((l.until.Sub(l.began) - dueSlack).Seconds() * l.options.Rate)
		result.Unsent = max(0, due-result.Requests)
	}
	result.Notes = append(result.Notes, l.notes(result)...)
	return result
}

func (l *load) notes(r Result) []string {
	var notes []string
	if n := r.Errors[rateLimited]; n > 0 {
		notes = append(notes, fmt.Sprintf("%d requests were answered 429: %s", n, limitAdvice))
	}
	if r.Unsent > 0 {
		notes = append(notes, fmt.Sprintf("%d requests that were due found no free connection: the service does not keep up "+
			"with the rate, or needs more --connections; the latencies leave them out", r.Unsent))
	}
	if l.accounts.own {
		notes = append(notes, fmt.Sprintf("%d accounts named `txnctl bench %s` stay, with their money", r.Accounts, l.runID))
	}
	return notes
}

// Failed reports that nothing succeeded, or that the balances are wrong.
func (r Result) Failed() error {
	switch {
	case r.Verification.Status == VerificationFailed:
		return fmt.Errorf("the balances are not what was acknowledged: %s", r.Verification.Detail)
	case r.Succeeded == 0:
		return errors.New("no request succeeded")
	default:
		return nil
	}
}

// millis is a latency in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// rounded is to the thousandth.
func rounded(n float64) float64 { return math.Round(n*1000) / 1000 }
