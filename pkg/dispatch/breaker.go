package dispatch

import (
	"time"

	"github.com/txn-service/txn/pkg/outbox"
)

const (
	breakerThreshold = outbox.BreakerThreshold
	breakerBase      = 15 * time.Second
	breakerMax       = 15 * time.Minute
)

// breaker is the circuit breaker of one lane. Open, it is the lane that waits,
// not its deliveries: a backlog of any size costs one attempt per cool-off.
type breaker struct {
	// failures in a row; kept on the lane from one holder to the next.
	failures int
}

// probing says that the breaker was open when the lane was claimed: one request
// at a time until one gets through.
func (b *breaker) probing() bool { return b.failures >= breakerThreshold }

// succeed closes the breaker.
func (b *breaker) succeed() { b.failures = 0 }

// fail counts a failure and returns how long the lane must wait, 0 while the
// breaker is closed: 15 s, doubling with each failed probe up to 15 min, but never
// longer than the schedule makes the failed delivery itself wait, which is 0 when
// there is no schedule.
func (b *breaker) fail(scheduled time.Duration) time.Duration {
	b.failures++
	if b.failures < breakerThreshold {
		return 0
	}
	coolOff := min(breakerBase<<min(b.failures-breakerThreshold, 6), breakerMax)
	if scheduled > 0 {
		coolOff = min(coolOff, scheduled)
	}
	return coolOff
}
