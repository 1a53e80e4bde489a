package dispatch

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// replay asks for a replay and waits until dispatchers are done with it.
func (k *kit) replay(selection outbox.ReplaySelection, rate float64) models.Replay {
	k.t.Helper()
	var row models.Replay
	require.NoError(k.t, k.db.InTx(k.t.Context(), func(tx *gorm.DB) (err error) {
		row, err = outbox.StartReplay(tx, selection, rate, nil)
		return err
	}))
	k.eventually(20*time.Second, func() bool {
		var err error
		row, err = outbox.FindReplay(k.db.Gorm, selection.BusinessID, row.ID)
		require.NoError(k.t, err)
		return !row.Status.Open()
	}, "the replay does not end")
	return row
}

func TestAReplayIsSentAgainWithItsOldID(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	old := k.events(business, 5)
	var healthy atomic.Bool
	r := k.receiver(business, func(f *webhook.Fields) { f.Ordered = true })
	r.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusTeapot)
		}
	}
	// Fanned out before there was an endpoint.
	k.exec(`DELETE FROM webhook_outbox`)
	k.start(nil)
	k.start(nil)
	failed := k.events(business, 5)
	k.settled(20 * time.Second)
	require.Equal(t, 5, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`))
	healthy.Store(true)
	sent := len(r.received())

	row := k.replay(outbox.ReplaySelection{BusinessID: business, WebhookID: r.row.ID, Since: time.Now().Add(-time.Hour)}, 1000)
	require.Equal(t, models.ReplayCount{Matched: 10, Missing: 5, Replayed: 10}, row.ReplayCount)
	k.settled(20 * time.Second)
	require.Equal(t, texts(append(old, failed...)), r.received()[sent:], "in the order of the events, each once, under its webhook-id")
	require.Equal(t, 10, k.count(`SELECT count(*) FROM webhook_attempts WHERE replay AND run = 2 AND status_code = 200`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_attempts WHERE replay <> (run > 1)`))
	require.Contains(t, k.logs.String(), "webhook replay ended")
}
