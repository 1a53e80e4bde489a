package outbox

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func readText(into *string) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(into); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func TestALaneFromWorkToRelease(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	ids := k.events(business, models.EventAccountCreated, 2)
	k.fanOutAll()

	lane := k.claimOne()
	require.Equal(t, key, lane.LaneKey)
	none, err := NewDispatcher(k.db).Claim(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, none, "a leased lane is nobody else's")

	fetched := k.fetchOne(lane)
	require.True(t, fetched.Held)
	require.Len(t, fetched.Due, 2)
	require.Equal(t, []models.EventID{ids[0], ids[1]}, []models.EventID{fetched.Due[0].EventID, fetched.Due[1].EventID})
	messages, err := k.Messages(t.Context(), []EventKey{{business, ids[0]}, {business, ids[1]}})
	require.NoError(t, err)
	require.JSONEq(t, `"event 1"`, string(messages[EventKey{business, ids[1]}].Body))

	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	require.True(t, k.complete(lane, fetched.Due[1], models.DeliveryPending, time.Hour))
	require.Empty(t, k.fetchOne(lane).Due)
	require.True(t, k.release(lane, fetched.Touches, 0))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL AND due_at BETWEEN now() + '59 min' AND now() + '61 min'`),
		"due again when the retry is")
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_attempts WHERE number = 1 AND status_code = 500 AND NOT replay`))
	require.False(t, k.fetchOne(lane).Held)
}

func TestAStaleHolderMovesNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 3)
	k.fanOutAll()
	old := k.claimOne()
	due := k.fetchOne(old).Due
	k.exec(`UPDATE webhook_lanes SET due_at = now()`) // the lease runs out
	heir := &kit{t: t, db: k.db, Dispatcher: NewDispatcher(k.db)}
	lane := heir.claimOne()
	require.Greater(t, lane.Epoch, old.Epoch)
	for _, d := range heir.fetchOne(lane).Due {
		require.True(t, heir.complete(lane, d, models.DeliveryPending, time.Hour))
	}

	require.False(t, k.complete(old, due[0], models.DeliveryPending, 0), "rescheduling by the former holder")
	require.False(t, k.complete(old, due[1], models.DeliveryFailed, 0), "failing by the former holder")
	require.True(t, k.complete(old, due[2], models.DeliveryDelivered, 0), "a 2xx is a fact")
	require.False(t, k.complete(old, due[2], models.DeliveryDelivered, 0), "but only once")
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND attempt_count = 1 AND next_attempt_at > now()`))
	require.Equal(t, 2, k.count(`SELECT max(number) FROM webhook_attempts WHERE delivery_id = $1`, due[2].ID))

	kept, err := k.Heartbeat(t.Context(), []Beat{{LaneKey: old.LaneKey, Epoch: old.Epoch}})
	require.NoError(t, err)
	require.Empty(t, kept)
	require.False(t, k.release(old, 1, time.Hour))
}

func TestReleaseIsRefusedAfterNewWork(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	k.events(business, models.EventAccountCreated, 1)
	_, last := k.fanOutAll()
	require.Equal(t, []LaneKey{lane.LaneKey}, last.Mine)
	require.False(t, k.release(lane, fetched.Touches, 0))
	again := k.fetchOne(lane)
	require.Len(t, again.Due, 1)
	require.True(t, k.release(lane, again.Touches, 0))
	require.Equal(t, lane.LaneKey, k.claimOne().LaneKey, "what is pending makes it due at once")
}

func TestHeartbeatKeepsTheLaneAndItsHealth(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	beat := func(health Health) Kept {
		kept, err := k.Heartbeat(t.Context(), []Beat{{LaneKey: lane.LaneKey, Epoch: lane.Epoch, Health: health}})
		require.NoError(t, err)
		require.Len(t, kept, 1)
		return kept[0]
	}
	k.exec(`UPDATE webhook_lanes SET due_at = now() + '1 s'`)
	require.False(t, beat(HealthFailure).Overdue)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at > now() + '9 s' AND failing_since IS NOT NULL`))
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '5 days 1 second'::interval`)
	require.True(t, beat(HealthFailure).Overdue)
	require.False(t, beat(HealthSuccess).Overdue)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE failing_since IS NULL`))

	require.NoError(t, Pause(k.db.Gorm, business, lane.WebhookID))
	kept := beat(HealthUnknown)
	require.True(t, kept.Blocked)
	require.Equal(t, lane.ConfigVersion+1, kept.ConfigVersion)
	require.True(t, k.release(lane, kept.Touches, 0))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at = 'infinity' AND owner IS NULL`), "paused")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	none, err := k.Claim(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, none, "deliveries gather, nothing is sent")
	require.NoError(t, Resume(k.db.Gorm, business, lane.WebhookID))
	require.Len(t, k.fetchOne(k.claimOne()).Due, 2)
}

func TestBlockedLaneWaits(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.True(t, k.release(lane, fetched.Touches, time.Minute))
	k.events(business, models.EventAccountCreated, 1)
	_, result := k.fanOutAll()
	require.False(t, result.Due)
	waiting, err := k.Probe(t.Context())
	require.NoError(t, err)
	require.True(t, waiting.Lane)
	require.InDelta(t, 60, waiting.LaneIn.Seconds(), 5)
	require.Empty(t, waiting.Parts)
}

func TestOrderedLaneGoesBySequence(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "ordered = true")
	ids := k.events(business, models.EventAccountCreated, 3)
	k.fanOutAll()
	lane := k.claimOne()
	require.True(t, lane.Ordered)
	first := k.fetchOne(lane)
	require.Equal(t, ids[0], first.Due[0].EventID)
	require.True(t, k.complete(lane, first.Due[0], models.DeliveryPending, time.Hour))
	head := k.fetchOne(lane)
	require.Equal(t, ids[0], head.Due[0].EventID, "the head stays the head while it waits")
	require.False(t, head.Due[0].Ready)
	require.True(t, k.release(lane, head.Touches, 0))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at > now() + '59 min'`), "nothing overtakes it")

	require.NoError(t, SetOrdered(k.db.Gorm, key.BusinessID, key.WebhookID, false))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_deliveries WHERE ordered`))
}

func TestDisableEndsWhatIsPending(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key, other := k.endpoint(business, ""), k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 2)
	k.fanOutAll()
	lanes, err := k.Claim(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, lanes, 2)
	row, err := Disable(k.db.Gorm, business, key.WebhookID, "it answered 410 Gone")
	require.NoError(t, err)
	require.Equal(t, models.WebhookDisabled, row.Status)
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'failed'
		AND failure_reason = 'endpoint disabled: it answered 410 Gone' AND finished_at IS NOT NULL`, key.WebhookID))
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'pending'`, other.WebhookID))
	k.fanOutAll()
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
		WHERE e.type = 'webhook.disabled' AND d.webhook_id = $1`, other.WebhookID))
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1`, key.WebhookID))
	_, err = Disable(k.db.Gorm, business, key.WebhookID, "again")
	require.NoError(t, err)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_events WHERE type = 'webhook.disabled'`))
	_, err = Disable(k.db.Gorm, k.business(), other.WebhookID, "another business's")
	require.True(t, errs.Is(err, errs.NotFound))
}

func TestExpireEndsOnlyWhatIsTooOld(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 4)
	k.fanOutAll()
	k.exec(`UPDATE webhook_deliveries SET next_attempt_at = now() - '2 hours'::interval WHERE sequence % 2 = 0`)
	expire := func() int64 {
		n, err := k.Expire(t.Context(), key, time.Hour)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, expire(), "an endpoint that has not failed")
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '59 min'::interval`)
	require.Zero(t, expire(), "what waited while it was paused has had no chance")
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '61 min'::interval`)
	require.EqualValues(t, 2, expire())
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`))
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND finished_at IS NOT NULL
		AND failure_reason LIKE '%as long as the whole retry schedule'`))
}
