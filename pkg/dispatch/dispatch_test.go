package dispatch

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestDeliversSignedEvents(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.Headers = map[string]string{"X-Team": "payments"} })
	var header atomic.Pointer[http.Header]
	r.answer = func(w http.ResponseWriter, request *http.Request, _ string, _ int) {
		header.Store(&request.Header)
		w.WriteHeader(http.StatusNoContent)
	}
	k.start(nil)
	ids := k.events(business, 3)
	k.settled(5 * time.Second)
	require.ElementsMatch(t, texts(ids), r.received())
	require.Equal(t, "payments", header.Load().Get("X-Team"))
	require.Equal(t, "application/json", header.Load().Get("Content-Type"))
	require.Equal(t, userAgent, header.Load().Get("User-Agent"))
	require.Empty(t, header.Load().Get("Accept-Encoding"))
	require.Equal(t, 3, k.count(`SELECT count(*) FROM webhook_attempts WHERE status_code = 204 AND error IS NULL AND number = 1`))
	k.eventually(2*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`) == 0 }, "the idle lane is released")
	require.NotContains(t, k.logs.String(), "do-not-log")
	require.Contains(t, k.logs.String(), "webhook attempt")
}

func TestRetriesUntilDelivered(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		if n < 3 {
			http.Error(w, "not yet \x00\xff", http.StatusBadGateway)
		}
	}
	k.start(nil)
	ids := k.events(business, 1)
	k.settled(10 * time.Second)
	require.Equal(t, []string{ids[0].String(), ids[0].String(), ids[0].String()}, r.received(), "one webhook-id for all attempts")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered' AND attempt_count = 3`))
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_attempts WHERE status_code = 502 AND response_body LIKE 'not yet%'`))
}

func TestAnExhaustedScheduleFailsAndReplays(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	var healthy atomic.Bool
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusTeapot)
		}
	}
	k.start(nil)
	k.events(business, 1)
	k.settled(10 * time.Second)
	require.Len(t, r.received(), 3, "two waits make three attempts")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND failure_reason LIKE '%418%'`))
	healthy.Store(true)
	k.replay(outbox.ReplaySelection{BusinessID: business, WebhookID: r.row.ID}, 0)
	k.settled(5 * time.Second)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered' AND run = 2 AND attempt_count = 4`))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_attempts WHERE replay AND number = 4 AND status_code = 200`))
}

func TestARedirectIsAFailureAndIsNotFollowed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	var followed atomic.Bool
	elsewhere := k.receiver(k.business(), nil)
	elsewhere.answer = func(http.ResponseWriter, *http.Request, string, int) { followed.Store(true) }
	r := k.receiver(business, nil)
	r.answer = func(w http.ResponseWriter, request *http.Request, _ string, _ int) {
		http.Redirect(w, request, elsewhere.URL, http.StatusTemporaryRedirect)
	}
	k.start(nil)
	k.events(business, 1)
	k.settled(10 * time.Second)
	require.False(t, followed.Load())
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`))
}

func TestGoneDisablesTheEndpoint(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	other := k.receiver(business, nil)
	r := k.receiver(business, nil)
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { w.WriteHeader(http.StatusGone) }
	k.start(nil)
	k.events(business, 1)
	k.eventually(10*time.Second, func() bool { return len(other.received()) == 2 }, "the event and webhook.disabled")
	k.settled(5 * time.Second)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhooks WHERE status = 'disabled' AND disabled_reason = 'it answered 410 Gone'`))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries d JOIN webhook_attempts a ON a.delivery_id = d.id
		WHERE d.status = 'failed' AND d.failure_reason = 'endpoint disabled: it answered 410 Gone' AND d.attempt_count = 1 AND a.status_code = 410`),
		"the answer is in the log of attempts")
	k.events(business, 1)
	k.eventually(5*time.Second, func() bool { return len(other.received()) == 3 }, "the other goes on")
	require.Len(t, r.received(), 1)
}

func TestRetryAfterHoldsTheLane(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	k.start(nil)
	k.events(business, 5)
	k.eventually(5*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL AND blocked_until > now() + '59 min'`) == 1
	}, "the lane is blocked")
	require.Len(t, r.received(), 1, "the others were not tried")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE next_attempt_at > now() + '59 min' AND attempt_count = 1`))
}

func TestADeadEndpointCostsOneProbePerCoolOff(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
	var healthy atomic.Bool
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	k.start(func(d *Dispatcher) { d.options.Schedule = webhook.Schedule{time.Second, time.Hour, time.Hour} })
	k.events(business, 200)
	k.eventually(5*time.Second, func() bool { return len(r.received()) >= 5 }, "the breaker opens after five failures")
	time.Sleep(1500 * time.Millisecond) // one cool-off, and a half
	require.LessOrEqual(t, len(r.received()), 8)
	require.LessOrEqual(t, k.count(`SELECT sum(attempt_count) FROM webhook_deliveries`), 8)
	healthy.Store(true)
	k.eventually(15*time.Second, func() bool { return r.distinct() == 200 }, "the backlog drains once it is back")
}

func TestOrderedEndpointGetsEventsInOrder(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, func(f *webhook.Fields) { f.Ordered = true })
	var requests atomic.Int64
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		if requests.Add(1)%5 == 0 && n < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	k.start(func(d *Dispatcher) {
		d.options.Schedule = webhook.Schedule{10 * time.Millisecond, 10 * time.Millisecond, time.Second, time.Second}
	})
	var want []string
	for range 6 {
		want = append(want, texts(k.events(business, 10))...)
	}
	k.settled(30 * time.Second)
	var firsts []string
	seen := map[string]bool{}
	for _, id := range r.received() {
		if !seen[id] {
			seen[id] = true
			firsts = append(firsts, id)
		}
	}
	require.Equal(t, want, firsts)
}

func TestMaxConcurrencyAndRateLimit(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	limit := 100
	r := k.receiver(business, func(f *webhook.Fields) { f.MaxConcurrency, f.RateLimit = 3, &limit })
	var now, most atomic.Int64
	r.answer = func(http.ResponseWriter, *http.Request, string, int) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
	}
	k.start(nil)
	start := time.Now()
	k.events(business, 60)
	k.settled(10 * time.Second)
	require.LessOrEqual(t, most.Load(), int64(3))
	require.Greater(t, time.Since(start), 400*time.Millisecond, "60 at 100 a second")
	require.Len(t, r.received(), 60)
}

func TestPauseAndPatchReachTheHolder(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r, second := k.receiver(business, nil), k.receiver(k.business(), nil)
	second.verifier = r.verifier
	k.start(nil)
	k.events(business, 1)
	k.settled(5 * time.Second)
	_, err := k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{Status: new(models.WebhookPaused)})
	require.NoError(t, err)
	k.eventually(20*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE webhook_id = $1 AND owner IS NULL`, r.row.ID) == 1
	}, "the holder gives the lane back")
	k.events(business, 1)
	k.eventually(20*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`) == 1 }, "gathers")
	time.Sleep(300 * time.Millisecond)
	require.Len(t, r.received(), 1)
	_, err = k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{URL: &second.URL, Status: new(models.WebhookActive)})
	require.NoError(t, err)
	k.settled(5 * time.Second)
	require.Len(t, r.received(), 1)
	require.Len(t, second.received(), 1)
}

func TestALostNotificationIsFoundByThePoll(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	k.start(func(d *Dispatcher) {
		d.listener = outbox.NewListener("postgres://127.0.0.1:1/nothing?connect_timeout=1", d.store, d.hear)
	})
	k.events(business, 5)
	k.settled(5 * time.Second)
	require.Len(t, r.received(), 5)
}

func TestTenantsOnlyGetTheirOwnEvents(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const tenants = 5
	receivers, want := make([]*receiver, tenants), make([][]string, tenants)
	k.start(nil)
	for i := range tenants {
		business := k.business()
		receivers[i] = k.receiver(business, nil)
		want[i] = texts(k.events(business, 20+i))
	}
	k.settled(10 * time.Second)
	for i, r := range receivers {
		require.ElementsMatch(t, want[i], r.received(), strconv.Itoa(i))
	}
}

func TestASecretThatCannotBeOpenedLosesNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	k.exec(`UPDATE webhooks SET secret_ciphertext = '\x00112233445566'`)
	k.start(nil)
	k.events(business, 2)
	k.eventually(5*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL AND blocked_until > now() + '50 s'`) == 1
	}, "the lane waits")
	require.Empty(t, r.received())
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND attempt_count = 0`))
}

func TestADeliveryWhoseEventIsGoneFails(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	_, err := k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{Status: new(models.WebhookPaused)})
	require.NoError(t, err)
	k.start(nil)
	k.events(business, 1)
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_deliveries`) == 1 }, "fanned out")
	k.exec(`DELETE FROM webhook_events`)
	_, err = k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{Status: new(models.WebhookActive)})
	require.NoError(t, err)
	k.settled(5 * time.Second)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND failure_reason = 'the event has been deleted'`))
	require.Empty(t, r.received())
}
