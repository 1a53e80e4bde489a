// Package ratelimit counts requests with ulule/limiter: in Redis for all
// replicas together, in memory while Redis is away or when there is none.
//
// Windows are fixed: the first request of a client opens one, and the count
// starts again when it ends. Redis holds nothing that matters beyond a window,
// so losing it loosens limits for at most that long and refuses nobody.
package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/ulule/limiter/v3"
)

// Limit allows each key a number of requests per window.
type Limit struct {
	name  string
	rate  limiter.Rate
	store *Store
}

// Decision is what a Limit says about one request.
type Decision struct {
	// Limit and Remaining count the requests of the window.
	Limit, Remaining int64
	// Reset is when the window ends, to the second.
	Reset time.Time
	// Refused says that the limit is exceeded.
	Refused bool
}

// RetryAfter is how long a refused caller should wait: until the window ends,
// at least a second.
func (d Decision) RetryAfter() time.Duration {
	return max(time.Until(d.Reset), time.Second)
}

// New reads a limit in the notation `<count>-<S|M|H|D>`. Empty text or 0 is no
// limit: the result is nil. The name tells apart the counters of several limits
// that share a store.
func New(name, notation string, store *Store) (*Limit, error) {
	if notation == "" || notation == "0" {
		return nil, nil
	}
	rate, err := limiter.NewRateFromFormatted(notation)
	if err != nil || rate.Limit < 0 {
		return nil, fmt.Errorf("%q is no rate limit: want <count>-<S|M|H|D>, such as 20-M, or nothing", notation)
	}
	if rate.Limit == 0 {
		return nil, nil
	}
	return &Limit{name: name, rate: rate, store: store}, nil
}

// Take counts one request of the key and never fails: while Redis is away it
// counts in memory.
func (l *Limit) Take(ctx context.Context, key string) Decision {
	state := l.store.take(ctx, l.name+":"+key, l.rate)
	return Decision{
		Limit: state.Limit, Remaining: state.Remaining,
		Reset: time.Unix(state.Reset, 0), Refused: state.Reached,
	}
}
