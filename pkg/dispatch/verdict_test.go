package dispatch

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	schedule := webhook.Schedule{time.Second, time.Minute}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	broken := errors.New("connection refused")
	for name, test := range map[string]struct {
		answer  answer
		attempt int
		want    verdict
	}{
		"200": {answer{status: 200}, 1, verdict{outcome: outcomeDelivered, status: models.DeliveryDelivered}},
		"299": {answer{status: 299}, 1, verdict{outcome: outcomeDelivered, status: models.DeliveryDelivered}},
		"302": {answer{status: 302}, 1, verdict{outcome: outcomeRedirect, status: models.DeliveryPending, wait: time.Second, scheduled: time.Second}},
		"404": {answer{status: 404}, 2, verdict{outcome: outcomeClient, status: models.DeliveryPending, wait: time.Minute, scheduled: time.Minute}},
		"500": {answer{status: 500}, 1, verdict{outcome: outcomeServer, status: models.DeliveryPending, wait: time.Second, scheduled: time.Second, breaks: true}},
		"500 at the end": {answer{status: 500}, 3, verdict{
			outcome: outcomeServer, status: models.DeliveryFailed, reason: "no attempt left: the endpoint answered 500", breaks: true,
			scheduled: time.Minute,
		}},
		"410": {answer{status: 410}, 1, verdict{outcome: outcomeClient, status: models.DeliveryPending, wait: time.Second, scheduled: time.Second, gone: true}},
		"410 at the end": {answer{status: 410}, 3, verdict{
			outcome: outcomeClient, status: models.DeliveryFailed, reason: "no attempt left: the endpoint answered 410", gone: true,
			scheduled: time.Minute,
		}},
		"429 with seconds": {answer{status: 429, retryAfter: "30"}, 1, verdict{
			outcome: outcomeClient, status: models.DeliveryPending, wait: 30 * time.Second, scheduled: time.Second, hold: 30 * time.Second,
		}},
		"503 with a date": {answer{status: 503, retryAfter: "Fri, 02 Jan 2026 03:04:15 GMT"}, 1, verdict{
			outcome: outcomeServer, status: models.DeliveryPending, wait: 10 * time.Second, scheduled: time.Second, hold: 10 * time.Second, breaks: true,
		}},
		"503 sooner than scheduled": {answer{status: 503, retryAfter: "1"}, 2, verdict{
			outcome: outcomeServer, status: models.DeliveryPending, wait: time.Minute, scheduled: time.Minute, hold: time.Second, breaks: true,
		}},
		"500 has no Retry-After": {answer{status: 500, retryAfter: "30"}, 1, verdict{
			outcome: outcomeServer, status: models.DeliveryPending, wait: time.Second, scheduled: time.Second, breaks: true,
		}},
		"timeout": {answer{err: broken, timedOut: true}, 1, verdict{
			outcome: outcomeTimeout, status: models.DeliveryPending, wait: time.Second, scheduled: time.Second, breaks: true,
		}},
		"transport": {answer{err: broken}, 1, verdict{
			outcome: outcomeTransport, status: models.DeliveryPending, wait: time.Second, scheduled: time.Second, breaks: true,
		}},
		"forbidden": {answer{err: errForbiddenAddress}, 3, verdict{
			outcome: outcomeRefused, status: models.DeliveryFailed, reason: "no attempt left: the address is not public", breaks: true,
			scheduled: time.Minute,
		}},
	} {
		require.Equal(t, test.want, judge(&test.answer, test.attempt, schedule, 0, now), name)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(distance time.Duration) string { return now.Add(distance).Format(http.TimeFormat) }
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "+5": 0, "1.5": 0, "x": 0, "7": 7 * time.Second, "007": 7 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"999999999": time.Hour, "99999999999999999999": time.Hour, strings.Repeat("9", 10_000): time.Hour,
		at(time.Minute): time.Minute, at(-time.Minute): 0, at(48 * time.Hour): time.Hour, at(200 * 365 * 24 * time.Hour): time.Hour,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute, "Fri Jan  2 03:05:05 2026": time.Minute, // the obsolete forms
	} {
		require.Equal(t, want, retryAfter(header, "", now), header)
		require.Equal(t, want, retryAfter(header, "yesterday", now), header)
	}
	// The receiver's clock is ten minutes ahead of ours, or behind.
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		require.Equal(t, time.Minute, retryAfter(at(skew+time.Minute), at(skew), now))
		require.Equal(t, time.Duration(0), retryAfter(at(skew-time.Minute), at(skew), now))
	}
}

func TestBreakerCoolOff(t *testing.T) {
	t.Parallel()
	var b breaker
	for range breakerThreshold - 1 {
		require.Zero(t, b.fail(time.Hour))
	}
	require.False(t, b.probing())
	for _, seconds := range []float64{15, 30, 60, 120, 240, 480, 900, 900} {
		require.InDelta(t, seconds, b.fail(time.Hour).Seconds(), 0)
	}
	require.Equal(t, time.Second, b.fail(time.Second), "never longer than the schedule's wait")
	require.Equal(t, breakerMax, b.fail(0), "without a schedule no delivery waits, but the lane does")
	b.failures = 1 << 30
	require.Equal(t, breakerMax, b.fail(time.Hour), "however long it lasts")
	b.succeed()
	require.False(t, b.probing())
}
