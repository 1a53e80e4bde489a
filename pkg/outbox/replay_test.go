package outbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// failAll sends everything that is due on the one due lane to its end.
func (k *kit) failAll() {
	k.t.Helper()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	for _, due := range fetched.Due {
		require.True(k.t, k.complete(lane, due, models.DeliveryFailed, 0))
	}
	require.True(k.t, k.release(lane, fetched.Touches, 0))
}

func TestReplayStartsTheNextRun(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business, other := k.business(), k.business()
	key := k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 3)
	k.fanOutAll()
	k.failAll()

	selection := ReplaySelection{BusinessID: business, WebhookID: key.WebhookID}
	count, err := Replay(t.Context(), k.db, selection, ReplayOptions{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, ReplayCount{Matched: 3}, count)
	require.Equal(t, 3, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`))

	_, err = Replay(t.Context(), k.db, ReplaySelection{BusinessID: other, WebhookID: key.WebhookID}, ReplayOptions{})
	require.True(t, errs.Is(err, errs.NotFound))
	count, err = Replay(t.Context(), k.db, ReplaySelection{BusinessID: business, Since: time.Now().Add(time.Hour)}, ReplayOptions{})
	require.NoError(t, err)
	require.Zero(t, count.Matched)

	count, err = Replay(t.Context(), k.db, selection, ReplayOptions{Rate: 1e6})
	require.NoError(t, err)
	require.Equal(t, ReplayCount{Matched: 3, Replayed: 3}, count)
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.Len(t, fetched.Due, 3)
	for _, due := range fetched.Due {
		require.Equal(t, Due{ID: due.ID, EventID: due.EventID, Run: 2, AttemptCount: 1, RunAttempt: 0, Ready: true}, due)
	}
	stale := fetched.Due[0]
	stale.Run = 1
	require.False(t, k.complete(lane, stale, models.DeliveryDelivered, 0), "a 2xx completes only its own run")
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_attempts WHERE number = 2 AND run = 2 AND replay`))
}

func TestReplayOfOneDelivery(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	selection := ReplaySelection{BusinessID: business, DeliveryID: fetched.Due[0].ID}

	count, err := Replay(t.Context(), k.db, selection, ReplayOptions{})
	require.NoError(t, err)
	require.Equal(t, ReplayCount{Matched: 1, Pending: 1}, count, "a counted no-op")
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	count, err = Replay(t.Context(), k.db, selection, ReplayOptions{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, ReplayCount{Matched: 1}, count)
	count, err = Replay(t.Context(), k.db, selection, ReplayOptions{})
	require.NoError(t, err)
	require.Equal(t, ReplayCount{Matched: 1, Replayed: 1}, count)
	require.False(t, k.release(lane, fetched.Touches, 0), "the holder must look again")
	require.Len(t, k.fetchOne(lane).Due, 1)

	_, err = Replay(t.Context(), k.db, ReplaySelection{BusinessID: k.business(), DeliveryID: selection.DeliveryID}, ReplayOptions{})
	require.True(t, errs.Is(err, errs.NotFound), "another business's")
	_, err = Disable(k.db.Gorm, business, key.WebhookID, "test")
	require.NoError(t, err)
	_, err = Replay(t.Context(), k.db, selection, ReplayOptions{})
	require.True(t, errs.Is(err, errs.InvalidState))
	count, err = Replay(t.Context(), k.db, ReplaySelection{BusinessID: business}, ReplayOptions{})
	require.NoError(t, err)
	require.Zero(t, count, "a replay of the business skips disabled endpoints")
}

func TestReplayInStepsIsSpreadByItsRate(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at, failure_reason)
		SELECT $1, uuid_v7(now(), n), uuid_v7(now(), n), $2, 'failed', now(), n, now(), now(), 'x' FROM generate_series(1, 2500) n`, business, key.WebhookID)
	var steps []int64
	count, err := Replay(t.Context(), k.db, ReplaySelection{BusinessID: business},
		ReplayOptions{Rate: 100, Progress: func(c ReplayCount) { steps = append(steps, c.Replayed) }})
	require.NoError(t, err)
	require.Equal(t, ReplayCount{Matched: 2500, Replayed: 2500}, count)
	require.Equal(t, []int64{1000, 2000, 2500}, steps)
	require.InDelta(t, 25, k.count(`SELECT extract(epoch FROM max(next_attempt_at) - min(next_attempt_at))::int FROM webhook_deliveries`), 3)
}
