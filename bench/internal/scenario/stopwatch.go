package scenario

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

// stopwatch gathers latencies. Its methods may be called from several goroutines.
type stopwatch struct {
	mu        sync.Mutex
	latencies []time.Duration
	err       error
}

// event is a load.Watch: it takes the time from the moment that the ledger writes
// into an event, which is just before its commit, to its receipt. The commit is
// included, so the figure errs on the high side.
func (w *stopwatch) event(_ string, body []byte, at time.Time) {
	var event struct {
		CreatedAt time.Time `json:"created_at"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = fmt.Errorf("reading an event: %w", err)
		return
	}
	w.add(at.Sub(event.CreatedAt))
}

func (w *stopwatch) add(latency time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latencies = append(w.latencies, latency)
}

// percentiles are those of all latencies so far.
func (w *stopwatch) percentiles() (report.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return report.Run{
		P50: report.Millis(load.Percentile(w.latencies, 50)),
		P99: report.Millis(load.Percentile(w.latencies, 99)),
	}, w.err
}

// p50Run makes the median latency the figure, p99Run the 99th percentile.
func p50Run(run report.Run) report.Run {
	run.Value = run.P50
	return run
}

func p99Run(run report.Run) report.Run {
	run.Value = run.P99
	return run
}
