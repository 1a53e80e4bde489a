package main

import (
	"net/http"
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
	// Every other request fails, so that there are attempts to be overwritten.
	failing.reply = func(n int, _ http.Header) int { return []int{200, 500}[n%2] }
	proxy := newWire(t, w.url)
	egress := newEgress(t)
	zombie := spawn(t, proxy.url, "TXN_WEBHOOKS_PROXY="+egress.url)
	w.events(scaled(60, 800))
	require.Eventually(t, func() bool { return steady.count() > 5 && failing.tried() > 5 }, 20*time.Second, time.Millisecond)

	require.NoError(t, zombie.command.Process.Signal(syscall.SIGSTOP))
	heal := proxy.partition()
	second := spawn(t, w.url)
	before := steady.count()
	time.Sleep(scaled(outbox.Lease+time.Second, 3*outbox.Lease))
	require.Eventually(t, func() bool { return steady.count() > before+concurrency }, 20*time.Second, time.Millisecond, "taken over")
	require.Positive(t, w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`), "there is something left that could go wrong")
	sent := egress.sent()
	require.NoError(t, zombie.command.Process.Signal(syscall.SIGCONT))
	time.Sleep(time.Second)
	require.Equal(t, sent, egress.sent(), "it does not know that it has lost its lanes, only that it may have")
	heal()
	w.drained(recovery + time.Minute)
	require.LessOrEqual(t, w.delivers(), mostDuplicates)
	require.LessOrEqual(t, steady.crowd(), 2*concurrency, "what it had in flight, and the new owner")
	zombie.stop(t)
	second.stop(t)
}
