package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
)

// most is what a dispatcher may ever have had in memory, in MiB.
const most = 128

// However much waits, a dispatcher holds a bounded window of it.
func TestABacklogOfAnySizeNeedsNoMoreMemory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || memoryBound > 64<<20 {
		t.Skip("reads /proc, and the race detector has a memory of its own")
	}
	w := newWorld(t, dbtest.New(t).URL)
	const endpoints = 100
	w.audience(endpoints)
	events := scaled(200, 10_000)
	_, err := w.db.Pool.Exec(t.Context(), `INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT $1, uuid_v7(now(), n), 'transaction.created', convert_to('{"data":"' || repeat('x', 1000) || '"}', 'UTF8'), now()
		FROM generate_series(1, $2) n`, w.business, events)
	require.NoError(t, err)
	_, err = w.db.Pool.Exec(t.Context(), `INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, next_attempt_at, sequence, created_at)
		SELECT e.business_id, uuid_v7(now(), row_number() OVER ()), e.id, w.id, now(), 1, now() FROM webhook_events e, webhooks w`)
	require.NoError(t, err)
	_, err = w.db.Pool.Exec(t.Context(), `UPDATE webhook_lanes SET due_at = now()`)
	require.NoError(t, err)
	total := w.number(`SELECT count(*) FROM webhook_deliveries`)
	require.Equal(t, endpoints*events, total)
	p := spawn(t, w.url, "TXN_DISPATCHER_SLOTS=512")
	delivered := func() int { return w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`) }
	require.Eventually(t, func() bool { return delivered() > min(total/2, 200_000) }, 5*time.Minute, 200*time.Millisecond)
	peak := telemetrytest.Resident(t, p.command.Process.Pid, "VmHWM") >> 20
	t.Logf("%d pending: %d MiB at most", total, peak)
	require.Less(t, peak, most)
	p.stop(t)
}
