package load

import "time"

// Sample is what one run of a load measured.
type Sample struct {
	// Rate is finished operations per second.
	Rate float64
	// P50 and P99 are latencies; 0 where the load does not tell.
	P50, P99 time.Duration
	// Done is how many operations were confirmed.
	Done int64
}

// together joins samples of loads that ran side by side.
func together(samples []Sample) Sample {
	var all Sample
	for _, s := range samples {
		all.Rate += s.Rate
		all.Done += s.Done
		all.P50, all.P99 = max(all.P50, s.P50), max(all.P99, s.P99)
	}
	return all
}
