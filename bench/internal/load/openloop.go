package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxInFlight bounds the requests of an open loop that wait for an answer. A
// service that is so far behind does not hold the rate.
const maxInFlight = 256

// ErrOverrun says that an open loop had too many requests in flight.
var ErrOverrun = errors.New("the service does not keep up with the rate")

// OpenLoop calls send at a fixed rate per second, on schedule whether or not
// earlier calls have returned, for a duration, and waits for all calls. It
// returns how many it made. The first failure ends it; ErrOverrun if more than
// 256 calls would run at once.
func OpenLoop(ctx context.Context, rate int, duration time.Duration, send func(ctx context.Context) error) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, maxInFlight)
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
			if err := send(ctx); err != nil {
				cancel(err)
			}
			<-slots
		})
	}
	calls.Wait()
	return made, context.Cause(ctx)
}
