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
