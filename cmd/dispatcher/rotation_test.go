package main

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/disclosure"
)

// Secrets are rotated under load (F14). Who still has the one before can verify
// everything, and who has only the new one everything from when it signs.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	e := w.endpoint(2 * time.Millisecond)
	fleet := []*process{spawn(t, w.url), spawn(t, w.url)}
	stop := w.produce(scaled(200, 500))
	require.Eventually(t, func() bool { return e.count() > 20 }, 30*time.Second, time.Millisecond)
	current := e.secret
	goOn(2, func(int) {
		time.Sleep(scaled(0, 15*time.Second)) // few may be in their grace period at once
		_, next, err := w.store.RotateSecret(w.db.Gorm, w.business, e.id, time.Minute)
		require.NoError(t, err)
		require.NoError(t, disclosure.Record(next))
		former, latter := verifier(t, current), verifier(t, next)
		var both atomic.Int64
		var signs atomic.Bool
		e.judge(func(body []byte, header http.Header) error {
			if latter(body, header) == nil {
				both.Add(1)
			} else if signs.Load() {
				return latter(body, header)
			}
			return former(body, header)
		})
		require.Eventually(t, func() bool { return both.Load() > 0 }, 30*time.Second, time.Millisecond, "the new secret signs")
		// What was signed before has arrived by then: the fleet sends in milliseconds,
		// and hears of the change within a heartbeat.
		time.Sleep(3 * time.Second)
		signs.Store(true)
		seen := both.Load()
		require.Eventually(t, func() bool { return both.Load() > seen+50 }, 30*time.Second, time.Millisecond)
		current = next
	})
	stop()
	w.drained(recovery())
	require.Zero(t, w.delivers())
	for _, p := range fleet {
		p.stop(t)
	}
}

// judge changes how requests are verified.
func (e *endpoint) judge(verify func(body []byte, header http.Header) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verify = verify
}
