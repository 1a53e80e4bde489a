package outbox

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
)

func (k *kit) inTx(do func(tx *gorm.DB) error) {
	k.t.Helper()
	require.NoError(k.t, k.db.InTx(k.t.Context(), do))
}

// suspend and resume are what package tenant does.
func (k *kit) suspend(business models.BusinessID) {
	k.t.Helper()
	k.exec(`UPDATE businesses SET status = 'suspended' WHERE id = $1`, business)
	k.inTx(func(tx *gorm.DB) error { return SuspendLanes(tx, business) })
}

func (k *kit) resume(business models.BusinessID) {
	k.t.Helper()
	k.exec(`UPDATE businesses SET status = 'active' WHERE id = $1`, business)
	k.inTx(func(tx *gorm.DB) error { return ResumeLanes(tx, business) })
}

func (k *kit) claimed() (keys []LaneKey) {
	k.t.Helper()
	lanes, err := k.Claim(k.t.Context(), 100)
	require.NoError(k.t, err)
	for _, lane := range lanes {
		keys = append(keys, lane.LaneKey)
	}
	return keys
}

func TestASuspendedBusinessIsNotClaimed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business, neighbour := k.neighbours()
	one, paused := k.endpoint(business, ""), k.endpoint(business, "")
	disabled, other := k.endpoint(business, ""), k.endpoint(neighbour, "")
	k.exec(`UPDATE webhooks SET status = 'paused' WHERE id = $1`, paused.WebhookID)
	k.inTx(func(tx *gorm.DB) error { return Pause(tx, business, paused.WebhookID) })
	k.inTx(func(tx *gorm.DB) error { _, err := Disable(tx, business, disabled.WebhookID, "broken"); return err })
	k.events(business, models.EventAccountCreated, 3)
	k.fanOutAll()
	k.suspend(business)
	k.events(business, models.EventAccountCreated, 3)
	k.events(neighbour, models.EventAccountCreated, 3)
	k.fanOutAll()
	require.Equal(t, []LaneKey{other}, k.claimed(), "the neighbour goes on")
	require.Equal(t, 7, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND webhook_id = $1`, one.WebhookID),
		"six and webhook.disabled gather")

	// What changes about its endpoints meanwhile does not open a lane.
	k.exec(`UPDATE webhooks SET status = 'active' WHERE id = $1`, paused.WebhookID)
	k.inTx(func(tx *gorm.DB) error { return Resume(tx, business, paused.WebhookID) })
	k.endpoint(business, "")
	k.inTx(func(tx *gorm.DB) error {
		_, err := StartReplay(tx, ReplaySelection{BusinessID: business, EventID: k.events(business, models.EventAccountCreated, 1)[0], WebhookID: one.WebhookID}, 0, nil)
		return err
	})
	k.fanOutAll()
	require.Empty(t, k.claimed())

	k.resume(business)
	require.Len(t, k.claimed(), 3, "all but the disabled one")
	k.resume(business)
	require.Empty(t, k.claimed(), "resuming what is active changes nothing")
}

func TestResumingLeavesPausedEndpointsAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	paused := k.endpoint(business, "status = 'paused'")
	k.inTx(func(tx *gorm.DB) error { return Pause(tx, business, paused.WebhookID) })
	k.endpoint(business, "deleted_at = now()")
	k.suspend(business)
	k.suspend(business)
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	k.resume(business)
	require.Empty(t, k.claimed())
}

// A breaker that was open, and how long an endpoint has failed, say nothing after a
// suspension of days.
func TestResumingForgetsFailures(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.exec(`UPDATE webhook_lanes SET breaker_failures = 9, failing_since = now() - interval '6 days', blocked_until = now() + interval '1 hour'`)
	k.suspend(business)
	k.resume(business)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes
		WHERE breaker_failures = 0 AND failing_since IS NULL AND blocked_until < now() AND due_at <= now()`))
}

// A holder that crashes gives nothing back: whoever claims the lane when its lease
// is over learns that it is blocked.
func TestAClaimTellsThatTheLaneIsBlocked(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	require.False(t, k.claimOne().Blocked)
	k.suspend(business)
	k.exec(`UPDATE webhook_lanes SET due_at = now()`) // the lease is over
	require.True(t, k.claimOne().Blocked)
}
