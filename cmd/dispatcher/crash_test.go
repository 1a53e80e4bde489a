package main

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/outbox"
)

// slots and the queue of completions bound what one crash can send twice.
const mostDuplicates = 512 + 256

func TestSIGKILLOfOneOfTwoDispatchersLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	for range 6 {
		w.endpoint(5 * time.Millisecond)
	}
	first, second := spawn(t, w.url), spawn(t, w.url)
	for range 20 {
		w.events(20)
	}
	require.Eventually(t, func() bool {
		return w.number(`SELECT count(DISTINCT owner) FROM webhook_lanes WHERE owner IS NOT NULL`) > 0 && w.all[0].count() > 10
	}, 20*time.Second, time.Millisecond)
	require.Error(t, first.end(t, syscall.SIGKILL))
	w.events(50)
	w.drained(outbox.Lease + 30*time.Second)
	require.LessOrEqual(t, w.account(), mostDuplicates)
	require.NoError(t, second.end(t, syscall.SIGTERM))
}

func TestPostgreSQLCrashesUnderDelivery(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	w := newWorld(t, dbtest.NewOn(t, server).URL)
	for range 3 {
		w.endpoint(2 * time.Millisecond)
	}
	p := spawn(t, w.url)
	w.events(300)
	require.Eventually(t, func() bool { return w.all[0].count() > 20 }, 20*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, server.StopImmediate(ctx))
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, server.Start(ctx))
	require.Eventually(t, func() bool { return w.commit(50) }, 20*time.Second, 20*time.Millisecond)
	w.drained(outbox.Lease + 30*time.Second)
	w.account()
	require.NoError(t, p.end(t, syscall.SIGTERM), "the process never exited")
}
