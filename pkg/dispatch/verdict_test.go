package dispatch

import (
	"errors"
	"net/http"
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
		}},
		"410": {answer{status: 410}, 1, verdict{outcome: outcomeClient, status: models.DeliveryFailed, reason: "the endpoint answered 410 Gone", gone: true}},
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
		}},
	} {
		require.Equal(t, test.want, judge(&test.answer, test.attempt, schedule, 0, now), name)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "x": 0, "7": 7 * time.Second, "999999999": time.Hour, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
		now.Add(48 * time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		require.Equal(t, want, retryAfter(header, now), header)
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
	b.succeed()
	require.False(t, b.probing())
}
