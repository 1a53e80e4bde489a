package main

import (
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// A dispatcher freezes for longer than its lease and then comes back without its
// database, so that only its own idea of the lease can stop it (F4). It must send
// nothing of what it had fetched, and what it says once the database is there
// again must move nothing that others have moved since.
func TestAZombieSendsNothingAndOverwritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	const concurrency = 2
	one := func(f *webhook.Fields) { f.MaxConcurrency = concurrency }
	steady, failing := w.endpoint(100*time.Millisecond, one), w.endpoint(100*time.Millisecond, one)
	var fails atomic.Bool
	held, frozen := make(chan struct{}, concurrency), make(chan struct{})
	failing.wait = func() {
		if fails.Load() {
			select {
			case held <- struct{}{}:
			default:
			}
			<-frozen
		}
	}
	failing.reply = func(int, http.Header) int {
		if fails.Load() {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	proxy := newWire(t, w.url)
	egress := newEgress(t)
	zombie := spawn(t, proxy.url, "TXN_WEBHOOKS_PROXY="+egress.url)
	w.events(scaled(60, 800))
	require.Eventually(t, func() bool { return steady.count() > 5 && failing.tried() > 5 }, 20*time.Second, time.Millisecond)

	fails.Store(true)
	<-held // a failure that it will hear of when others have tried again
	require.NoError(t, zombie.command.Process.Signal(syscall.SIGSTOP))
	close(frozen)
	heal := proxy.partition()
	second := spawn(t, w.url)
	before, asked := steady.count(), failing.tried()
	time.Sleep(scaled(outbox.Lease+time.Second, 3*outbox.Lease))
	require.Eventually(t, func() bool { return steady.count() > before+concurrency && failing.tried() > asked+2*concurrency },
		20*time.Second, time.Millisecond, "taken over")
	require.Positive(t, w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`), "there is something left that could go wrong")
	sent := egress.sent()
	require.NoError(t, zombie.command.Process.Signal(syscall.SIGCONT))
	time.Sleep(time.Second)
	// It does not know that it has lost its lanes, only that it may have. What it was
	// about to write when it froze is in flight.
	require.LessOrEqual(t, egress.sent(), sent+2*concurrency)
	heal()
	time.Sleep(time.Second) // it says what it has in hand
	fails.Store(false)
	w.drained(recovery())
	require.LessOrEqual(t, w.delivers(), mostDuplicates)
	require.LessOrEqual(t, steady.crowd(), 2*concurrency, "what it had in flight, and the new owner")
	logged := w.number(`SELECT sum(attempt_count) FROM webhook_deliveries WHERE webhook_id = $1`, failing.id)
	require.Greater(t, failing.tried(), logged, "failures that others have overtaken do not count")
	zombie.stop(t)
	second.stop(t)
}
