package dispatch

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// maxRetryAfter caps what a Retry-After can ask for.
const maxRetryAfter = time.Hour

// outcome classes of an attempt, as metrics and logs name them.
const (
	outcomeDelivered = "delivered"
	outcomeRedirect  = "3xx"
	outcomeClient    = "4xx"
	outcomeServer    = "5xx"
	outcomeTimeout   = "timeout"
	outcomeTransport = "transport"
	outcomeRefused   = "refused"
	outcomeOther     = "other"
)

// verdict is what an answer means for the delivery and for the lane.
type verdict struct {
	outcome string
	status  models.DeliveryStatus
	// wait is how long a pending delivery waits.
	wait   time.Duration
	reason string
	// scheduled is the schedule's wait alone, which also caps the breaker: at the end of
	// the schedule its last one.
	scheduled time.Duration
	// breaks counts towards the circuit breaker.
	breaks bool
	// hold keeps the whole lane back: Retry-After.
	hold time.Duration
	// gone disables the endpoint, which ends the delivery, unless the endpoint is
	// somewhere else by now.
	gone bool
	// unsent says that nothing was sent, and nothing learned about the endpoint.
	unsent bool
}

// judge is a pure function of the answer, the attempt's number in its run and
// the jitter in [0, 1).
func judge(a *answer, attempt int, schedule webhook.Schedule, jitter float64, now time.Time) verdict {
	v := verdict{outcome: outcomeOf(a)}
	if v.outcome == outcomeDelivered {
		v.status = models.DeliveryDelivered
		return v
	}
	v.breaks = a.status == 0 || a.status >= 500
	v.gone = a.status == http.StatusGone
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		v.hold = retryAfter(a.retryAfter, a.date, now)
	}
	wait, again := schedule.Wait(attempt, jitter)
	if !again {
		v.status, v.reason, v.scheduled = models.DeliveryFailed, "no attempt left: "+describe(a), schedule.Last()
		return v
	}
	v.status, v.scheduled, v.wait = models.DeliveryPending, wait, max(wait, v.hold)
	return v
}

func outcomeOf(a *answer) string {
	switch {
	case a.status >= 200 && a.status < 300:
		return outcomeDelivered
	case a.status >= 300 && a.status < 400:
		return outcomeRedirect
	case a.status >= 400 && a.status < 500:
		return outcomeClient
	case a.status >= 500:
		return outcomeServer
	case a.status != 0:
		return outcomeOther
	case a.timedOut:
		return outcomeTimeout
	case errors.Is(a.err, errForbiddenAddress):
		return outcomeRefused
	default:
		return outcomeTransport
	}
}

func describe(a *answer) string {
	if a.status != 0 {
		return "the endpoint answered " + strconv.Itoa(a.status)
	}
	return a.reason()
}

// retryAfter reads the header in either form (RFC 9110 §10.2.3), capped at an
// hour; what cannot be read is nothing. A moment is on the receiver's clock, and
// so is the answer's date: their distance is right whatever either clock shows.
func retryAfter(header, date string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseUint(header, 10, 32)
		if err != nil {
			return maxRetryAfter // more than that fits
		}
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	if answered, err := http.ParseTime(date); err == nil {
		now = answered
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

func jitter() float64 { return rand.Float64() }
