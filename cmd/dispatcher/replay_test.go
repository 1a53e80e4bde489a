package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// failed makes every delivery that there is end as failed, and n more.
func (w *world) failed(n int) {
	w.t.Helper()
	w.events(n)
	dispatcher := outbox.NewDispatcher(w.db)
	for part := range int16(outbox.Parts) {
		for more := true; more; {
			result, err := dispatcher.FanOut(w.t.Context(), part)
			require.NoError(w.t, err)
			more = result.More
		}
	}
	w.exec(`UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), failure_reason = 'x', attempt_count = 3, run_attempt = 3`)
	w.exec(`DELETE FROM witness`)
	w.unlogged = w.number(`SELECT sum(attempt_count) FROM webhook_deliveries`)
}

func (w *world) replay(rate float64) models.Replay {
	w.t.Helper()
	var row models.Replay
	require.NoError(w.t, w.db.InTx(w.t.Context(), func(tx *gorm.DB) (err error) {
		row, err = outbox.StartReplay(tx, outbox.ReplaySelection{BusinessID: w.business}, rate, nil)
		return err
	}))
	return row
}

func TestSIGKILLInTheMiddleOfAReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	w.endpoint(0)
	w.endpoint(0)
	w.failed(400)
	row := w.replay(200)
	const restarted = `SELECT count(*) FROM webhook_deliveries WHERE run > 1`
	first := spawn(t, w.url)
	require.Eventually(t, func() bool { return w.number(restarted) > 100 }, 20*time.Second, time.Millisecond)
	require.Error(t, first.end(t, syscall.SIGKILL))
	require.Less(t, w.number(restarted), 600, "it was in the middle")

	// Two go on with it side by side, and one of them is killed as well.
	second, third := spawn(t, w.url), spawn(t, w.url)
	require.Eventually(t, func() bool { return w.number(restarted) > 500 }, 20*time.Second, time.Millisecond)
	require.Error(t, second.end(t, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		now, err := outbox.FindReplay(w.db.Gorm, w.business, row.ID)
		require.NoError(t, err)
		row = now
		return !row.Status.Open()
	}, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, models.ReplayCompleted, row.Status)
	require.Equal(t, models.ReplayCount{Matched: 800, Replayed: 800}, row.ReplayCount)
	w.drained(outbox.Lease + 30*time.Second)
	require.LessOrEqual(t, w.delivers(), 2*mostDuplicates)
	require.Equal(t, 800, w.number(`SELECT count(*) FROM webhook_deliveries WHERE run = 2 AND attempt_count >= 4`), "each was restarted exactly once")
	require.Zero(t, w.number(`SELECT count(*) FROM webhook_attempts WHERE NOT replay`))
	require.NoError(t, third.end(t, syscall.SIGTERM))
}
