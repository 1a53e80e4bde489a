package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// leastInFlight is how many requests of an open loop may wait for an answer, or
// a second's worth if that is more. A service that is so far behind does not hold
// the rate.
const leastInFlight = 256

// ErrOverrun says that an open loop had too many requests in flight.
var ErrOverrun = errors.New("the service does not keep up with the rate")

// OpenLoop calls send at a fixed rate per second, on schedule whether or not
// earlier calls have returned, for a duration, and waits for all calls. send gets
// the moment that it was due, from which latencies count. OpenLoop returns how
// many calls it made. The first failure ends it; ErrOverrun if more calls than a
// second's worth, or than 256, would run at once.
func OpenLoop(
	ctx context.Context, rate int, duration time.Duration, send func(ctx context.Context, due time.Time) error,
) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, max(rate, leastInFlight))
	interval := time.Second / time.Duration(rate)
	start := time.Now()
	var calls sync.WaitGroup
	made := int64(0)
	for due := start; due.Sub(start) < duration; due = due.Add(interval) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(due)):
		}
		select {
		case slots <- struct{}{}:
		default:
			cancel(fmt.Errorf("%w of %d/s", ErrOverrun, rate))
		}
		if ctx.Err() != nil {
			break
		}
		made++
		calls.Go(func() {
			if err := send(ctx, due); err != nil {
				cancel(err)
			}
			<-slots
		})
	}
	calls.Wait()
	return made, context.Cause(ctx)
}
