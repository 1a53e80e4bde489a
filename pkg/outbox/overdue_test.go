package outbox

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// Between the heartbeat that finds an endpoint overdue and its end, it may have
// succeeded or been mended by its owner.
func TestDisableOverdueLooksAgain(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	key := k.endpoint(k.business(), "")
	disabled := func() bool {
		row, err := DisableOverdue(k.db.Gorm, key.BusinessID, key.WebhookID)
		require.NoError(t, err)
		return row.Status == models.WebhookDisabled
	}
	require.False(t, disabled(), "it has not failed")
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '4 days 23 hours'::interval`)
	require.False(t, disabled())
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '5 days 1 second'::interval`)
	require.NoError(t, Resume(k.db.Gorm, key.BusinessID, key.WebhookID))
	require.False(t, disabled(), "its owner has started it anew")
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '5 days 1 second'::interval`)
	require.True(t, disabled())
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_events WHERE type = 'webhook.disabled'`))
}
