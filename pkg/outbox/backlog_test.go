package outbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

func TestBacklogCountsWhatWaits(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	none, err := ReadBacklog(t.Context(), k.db)
	require.NoError(t, err)
	require.Equal(t, Backlog{}, none)

	business := k.business()
	for range 6 {
		k.endpoint(business, "")
	}
	k.events(business, models.EventAccountCreated, 3)
	k.fanOutAll()
	lanes, err := k.Claim(t.Context(), 4)
	require.NoError(t, err)
	require.Len(t, lanes, 4)
	held := lanes[0].WebhookID
	k.exec(`UPDATE webhook_lanes SET breaker_failures = $1 WHERE webhook_id = $2 OR owner IS NULL`, BreakerThreshold, held)
	k.exec(`UPDATE webhook_lanes SET due_at = now() - '1 minute'::interval WHERE owner IS NULL`)
	k.exec(`ANALYZE webhook_deliveries`)
	_, err = k.Appear(t.Context(), 4)
	require.NoError(t, err)
	k.events(business, models.EventAccountCreated, 2)
	k.exec(`UPDATE webhook_events SET created_at = now() - '1 hour'::interval`)
	k.exec(`INSERT INTO webhook_replays (business_id, id, until, failed_only, rate, status, finished_at)
		SELECT $1, uuid_v7(now(), n), now(), true, 1, (ARRAY['pending', 'running', 'completed'])[n], CASE WHEN n = 3 THEN now() END
		FROM generate_series(1, 3) n`, business)

	b, err := ReadBacklog(t.Context(), k.db)
	require.NoError(t, err)
	require.InDelta(t, time.Hour, b.OldestAge, float64(time.Minute))
	require.InDelta(t, time.Minute-headStart, b.OldestDue, float64(3*time.Second))
	b.OldestAge, b.OldestDue = 0, 0
	require.Equal(t, Backlog{
		Events: 2, LanesDue: 2, LanesLeased: 4, BreakersOpen: 2, BreakersHalfOpen: 1, Pending: 6 * 3, Dispatchers: 1, Replays: 2,
	}, b)
}
