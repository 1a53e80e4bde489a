package bench

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms hold latencies in microseconds, from one to an hour, to three
// digits: some hundred kilobytes, however long the load is.
const (
	leastLatency = 1
	mostLatency  = int64(time.Hour / time.Microsecond)
	digits       = 3
)

// recorder counts what comes back.
type recorder struct {
	mu sync.Mutex // guards what follows
	// total is of all the load, recent since the last look.
	total, recent *hdrhistogram.Histogram
	errors        map[string]int64
	movements     int64
	// moved are the movements since the last look.
	moved    int64
	lookedAt time.Time
}

func newRecorder() *recorder {
	return &recorder{
		total: newHistogram(), recent: newHistogram(), errors: map[string]int64{}, lookedAt: time.Now(),
	}
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digits)
}

func (r *recorder) succeeded(latency time.Duration, movements int) {
	micros := min(max(latency.Microseconds(), leastLatency), mostLatency)
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.total.RecordValue(micros) // fails only out of its range
	_ = r.recent.RecordValue(micros)
	r.movements += int64(movements)
	r.moved += int64(movements)
}

func (r *recorder) failed(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors[code]++
}

// Snapshot is how the load goes.
type Snapshot struct {
	Elapsed time.Duration
	// Rate is the movements per second since the last snapshot, P50 and P99 the
	// latencies of their requests.
	Rate     float64
	P50, P99 time.Duration
	// Errors counts all failed requests so far, by code.
	Errors map[string]int64
}

// look returns a snapshot and begins the next interval.
func (r *recorder) look(elapsed time.Duration) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	s := Snapshot{
		Elapsed: elapsed, Rate: float64(r.moved) / now.Sub(r.lookedAt).Seconds(),
		P50: at(r.recent, 50), P99: at(r.recent, 99), Errors: maps.Clone(r.errors),
	}
	r.recent.Reset()
	r.moved, r.lookedAt = 0, now
	return s
}

func at(h *hdrhistogram.Histogram, percentile float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(percentile)) * time.Microsecond
}

// watch shows how it goes every second until done is closed.
func (l *load) watch(done <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			l.options.Live(l.recorder.look(time.Since(l.began)))
		}
	}
}
