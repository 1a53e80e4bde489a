package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

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

// failed adds n failed deliveries of an endpoint, with their events, a second apart
// and the last one a second ago.
func (k *kit) failed(key LaneKey, n int) {
	k.t.Helper()
	k.exec(`WITH e AS (
			INSERT INTO webhook_events (business_id, id, type, body, created_at)
			SELECT $1, uuid_v7(now() - make_interval(secs => n), n), 'account.created', '{}', now() - make_interval(secs => n)
			FROM generate_series(1, $3) n RETURNING id)
		INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at, failure_reason)
		SELECT $1, uuid_v7(now(), row_number() OVER (ORDER BY id)), id, $2, 'failed', now(), row_number() OVER (ORDER BY id), now(), now(), 'x'
		FROM e`, key.BusinessID, key.WebhookID, n)
}

// start begins a replay in a transaction of its own.
func (k *kit) start(s ReplaySelection, rate float64) (row models.Replay, err error) {
	err = k.db.InTx(k.t.Context(), func(tx *gorm.DB) (err error) {
		row, err = StartReplay(tx, s, rate, nil)
		return err
	})
	return row, err
}

// replayed begins a replay and does its steps until it has ended.
func (k *kit) replayed(s ReplaySelection) models.Replay {
	k.t.Helper()
	row, err := k.start(s, 1e6)
	require.NoError(k.t, err)
	require.Eventually(k.t, func() bool {
		_, _, err := k.StepReplay(k.t.Context())
		require.NoError(k.t, err)
		row, err = FindReplay(k.db.Gorm, s.BusinessID, row.ID)
		require.NoError(k.t, err)
		return !row.Status.Open()
	}, 20*time.Second, time.Millisecond)
	return row
}

func (k *kit) counted(s ReplaySelection) models.ReplayCount {
	k.t.Helper()
	count, err := CountReplay(k.db.Gorm, s)
	require.NoError(k.t, err)
	return count
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
	require.Equal(t, models.ReplayCount{Matched: 3}, k.counted(selection))
	require.Equal(t, 3, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND run = 1`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_replays`), "a count changes nothing")
	_, err := k.start(ReplaySelection{BusinessID: other, WebhookID: key.WebhookID}, 0)
	require.True(t, errs.Is(err, errs.NotFound), "another business's")
	_, err = CountReplay(k.db.Gorm, ReplaySelection{BusinessID: other, WebhookID: key.WebhookID})
	require.True(t, errs.Is(err, errs.NotFound))
	future := ReplaySelection{BusinessID: business, Since: time.Now().Add(time.Hour)}
	require.Zero(t, k.counted(future))
	require.Equal(t, models.ReplayCompleted, k.replayed(future).Status)

	row := k.replayed(selection)
	require.Equal(t, models.ReplayCount{Matched: 3, Replayed: 3}, row.ReplayCount)
	require.Equal(t, models.ReplayCompleted, row.Status)
	require.NotNil(t, row.StartedAt)
	require.NotNil(t, row.FinishedAt)
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

// Who replays has mended something: an open breaker gets a probe, while a Retry-After
// and a pause stand.
func TestAReplayIsTheProbeOfAnOpenBreaker(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	k.failed(key, 1)
	event, delivery := models.EventID{}, models.DeliveryID{}
	const later, paused = `now() + '15 min'::interval`, `'infinity'`
	require.NoError(t, k.db.Pool.QueryRow(t.Context(), `SELECT event_id, id FROM webhook_deliveries`).Scan(&event, &delivery))
	for name, selection := range map[string]ReplaySelection{
		"delivery": {BusinessID: business, DeliveryID: delivery},
		"event":    {BusinessID: business, EventID: event},
		"endpoint": {BusinessID: business, WebhookID: key.WebhookID},
		"business": {BusinessID: business},
	} {
		for _, lane := range []struct {
			failures int
			until    string
			probed   bool
		}{{BreakerThreshold, later, true}, {BreakerThreshold - 1, later, false}, {BreakerThreshold, paused, false}} {
			k.exec(`UPDATE webhook_lanes SET breaker_failures = $1, blocked_until = `+lane.until+`, due_at = `+lane.until, lane.failures)
			k.exec(`UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), failure_reason = 'x'`)
			_, err := k.start(selection, 0)
			require.NoError(t, err)
			require.Equal(t, lane.probed, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at <= now() AND blocked_until = '-infinity'`) == 1,
				"%s %+v", name, lane)
			require.Equal(t, !lane.probed, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at > now() + '14 min' AND blocked_until = due_at`) == 1,
				"%s %+v", name, lane)
		}
	}
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

	row, err := k.start(selection, 0)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCount{Matched: 1, Pending: 1}, row.ReplayCount, "a counted no-op")
	require.Equal(t, 1, k.count(`SELECT run FROM webhook_deliveries`))
	require.Equal(t, models.ReplayCount{Matched: 1, Pending: 1}, k.counted(selection))
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	require.Equal(t, models.ReplayCount{Matched: 1}, k.counted(selection))
	row, err = k.start(selection, 0)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCount{Matched: 1, Replayed: 1}, row.ReplayCount)
	require.Equal(t, models.ReplayCompleted, row.Status, "at once")
	require.False(t, k.release(lane, fetched.Touches, 0), "the holder must look again")
	require.Equal(t, 2, k.fetchOne(lane).Due[0].Run)

	_, err = k.start(ReplaySelection{BusinessID: k.business(), DeliveryID: selection.DeliveryID}, 0)
	require.True(t, errs.Is(err, errs.NotFound), "another business's")
	k.exec(`DELETE FROM webhook_events`)
	_, err = k.start(selection, 0)
	require.True(t, errs.Is(err, errs.InvalidState), "there is nothing to send any more")
	_, err = Disable(k.db.Gorm, business, key.WebhookID, "test")
	require.NoError(t, err)
	_, err = k.start(ReplaySelection{BusinessID: business, WebhookID: key.WebhookID}, 0)
	require.True(t, errs.Is(err, errs.InvalidState))
}

func TestReplayOfOneEvent(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	first := k.endpoint(business, "", "account.created")
	event := k.events(business, models.EventAccountCreated, 1)[0]
	k.fanOutAll()
	k.failAll()
	// One that came later, one that left its filter, one that never wanted it, one
	// that is disabled, and those of another business.
	later := k.endpoint(business, "", "account.*")
	k.exec(`UPDATE webhooks SET event_types = '{hold.*}' WHERE id = $1`, first.WebhookID)
	other := k.endpoint(business, "", "hold.created")
	k.endpoint(business, "status = 'disabled', disabled_reason = 'x'")
	stranger := k.endpoint(k.business(), "")

	all := ReplaySelection{BusinessID: business, EventID: event}
	require.Equal(t, models.ReplayCount{Matched: 2, Missing: 1, Skipped: 1}, k.counted(all))
	row, err := k.start(all, 0)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCount{Matched: 2, Missing: 1, Replayed: 2, Skipped: 1}, row.ReplayCount)
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND run = 2 AND event_id = $1`, event))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1`, later.WebhookID))
	lanes, err := k.Claim(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, lanes, 2, "both lanes are due")
	row, err = k.start(all, 0)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCount{Matched: 2, Pending: 2, Skipped: 1}, row.ReplayCount)

	one := ReplaySelection{BusinessID: business, EventID: event, WebhookID: other.WebhookID}
	row, err = k.start(one, 0)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCount{Matched: 1, Missing: 1, Replayed: 1}, row.ReplayCount, "who names an endpoint means it")
	_, err = k.start(ReplaySelection{BusinessID: business, EventID: event, WebhookID: stranger.WebhookID}, 0)
	require.True(t, errs.Is(err, errs.NotFound))
	_, err = k.start(ReplaySelection{BusinessID: stranger.BusinessID, EventID: event}, 0)
	require.True(t, errs.Is(err, errs.NotFound))
	require.Equal(t, 3, k.count(`SELECT count(*) FROM webhook_deliveries`))

	k.endpoint(business, "")
	test := k.events(business, models.EventWebhookTest, 1)[0]
	require.Zero(t, k.counted(ReplaySelection{BusinessID: business, EventID: test}).Matched, "a test is for the endpoint that was tested")
}

// The holder of a lane that has looked for work before the replay looks again.
func TestReplayIsSeenByTheHolderOfTheLane(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	k.failed(key, 1)
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	fetched = k.fetchOne(lane)
	require.Empty(t, fetched.Due)

	_, err := k.start(ReplaySelection{BusinessID: business}, 0)
	require.NoError(t, err)
	step, _, err := NewDispatcher(k.db).StepReplay(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{k.Owner()}, step.Foreign)
	require.False(t, step.Due, "it is held")
	require.False(t, k.release(lane, fetched.Touches, 0))
	require.Len(t, k.fetchOne(lane).Due, 1)
	k.exec(`UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), failure_reason = 'x'`)
	_, err = k.start(ReplaySelection{BusinessID: business}, 0)
	require.NoError(t, err)
	step, _, err = k.StepReplay(t.Context())
	require.NoError(t, err)
	require.True(t, step.Mine)
	require.Equal(t, key.WebhookID, step.Webhook)
}

func TestReplaySinceGivesAnEndpointWhatItNeverHad(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	old := k.events(business, models.EventAccountCreated, 3)
	k.events(business, models.EventHoldCreated, 1)
	k.events(business, models.EventTransactionCreated, 2)
	k.events(business, models.EventWebhookTest, 1)
	k.events(k.business(), models.EventAccountCreated, 2)
	k.fanOutAll()
	key := k.endpoint(business, "", "account.*", "transaction.*", "webhook.test")
	k.events(business, models.EventAccountCreated, 2)
	k.fanOutAll()
	k.failAll()
	since := time.Now().Add(-time.Hour)

	require.Equal(t, models.ReplayCount{Matched: 2}, k.counted(ReplaySelection{BusinessID: business, WebhookID: key.WebhookID}))
	require.Equal(t, models.ReplayCount{Matched: 2},
		k.counted(ReplaySelection{BusinessID: business, WebhookID: key.WebhookID, Since: since, FailedOnly: true}))
	narrow := ReplaySelection{BusinessID: business, WebhookID: key.WebhookID, Since: since, EventTypes: []string{"account.created"}}
	require.Equal(t, models.ReplayCount{Matched: 5, Missing: 3}, k.counted(narrow))
	all := ReplaySelection{BusinessID: business, WebhookID: key.WebhookID, Since: since}
	require.Equal(t, models.ReplayCount{Matched: 7, Missing: 5}, k.counted(all))

	require.Equal(t, models.ReplayCount{Matched: 5, Missing: 3, Replayed: 5}, k.replayed(narrow).ReplayCount)
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.Len(t, fetched.Due, 5)
	require.Equal(t, old[0], fetched.Due[0].EventID, "in the order of the events")
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_attempts WHERE replay`), "marked, though it is the first attempt")

	require.Equal(t, models.ReplayCount{Matched: 6, Missing: 2, Pending: 4}, k.counted(all), "what was delivered is done")
	require.Equal(t, models.ReplayCount{Matched: 6, Missing: 2, Replayed: 2, Pending: 4}, k.replayed(all).ReplayCount)
	require.Equal(t, 7, k.count(`SELECT count(*) FROM webhook_deliveries WHERE run = 2`))
	none := all
	none.Until = since
	none.Since = since.Add(-time.Hour)
	require.Zero(t, k.counted(none))
}

func TestReplayToAnOrderedEndpointKeepsTheOrderOfEvents(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	events := k.events(business, models.EventAccountCreated, 3)
	k.fanOutAll()
	key := k.endpoint(business, "ordered = true")
	events = append(events, k.events(business, models.EventAccountCreated, 2)...)
	k.fanOutAll()
	k.exec(`UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), failure_reason = 'x'`)
	k.exec(`UPDATE webhooks SET event_types = '{hold.*}'`)
	events = append(events, k.events(business, models.EventAccountCreated, 2)...) // between, and never had
	k.fanOutAll()
	k.exec(`UPDATE webhooks SET event_types = '{*}'`)
	events = append(events, k.events(business, models.EventAccountCreated, 1)...) // pending, and live
	k.fanOutAll()

	row := k.replayed(ReplaySelection{BusinessID: business, WebhookID: key.WebhookID, Since: time.Now().Add(-time.Hour)})
	require.Equal(t, models.ReplayCount{Matched: 8, Missing: 5, Replayed: 7, Pending: 1}, row.ReplayCount)
	// Made anew, the older ones come later in the table.
	k.exec(`DELETE FROM webhook_deliveries WHERE event_id = ANY ($1)`, events[:2])
	row = k.replayed(ReplaySelection{BusinessID: business, WebhookID: key.WebhookID, Since: time.Now().Add(-time.Hour)})
	require.EqualValues(t, 2, row.Missing)
	k.exec(`UPDATE webhook_lanes SET due_at = now()`)
	lane := k.claimOne()
	for _, event := range events {
		fetched := k.fetchOne(lane)
		require.Equal(t, event, fetched.Due[0].EventID)
		require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	}
}

func TestReplayIsPacedInSteps(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	key := k.endpoint(k.business(), "")
	k.failed(key, 120)
	row, err := k.start(ReplaySelection{BusinessID: key.BusinessID}, 100)
	require.NoError(t, err)
	require.Equal(t, models.ReplayPending, row.Status)
	in, waiting, err := k.NextReplay(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.LessOrEqual(t, in, time.Duration(0))

	step, ok, err := k.StepReplay(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 50, step.Count.Replayed, "half a second's worth")
	require.True(t, step.Due)
	require.Equal(t, models.ReplayRunning, step.Status)
	require.InDelta(t, 490, k.count(`SELECT extract(epoch FROM max(next_attempt_at) - min(next_attempt_at)) * 1000 FROM webhook_deliveries WHERE run = 2`), 1)
	for _, ok, err = k.StepReplay(t.Context()); ok; _, ok, err = k.StepReplay(t.Context()) {
		require.NoError(t, err)
	}
	in, waiting, err = k.NextReplay(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.Positive(t, in, "no further ahead of its time than that")
	require.Less(t, k.count(`SELECT count(*) FROM webhook_deliveries WHERE run = 2`), 120)

	// Nobody was there for a while: what was not sent then is not made up for.
	k.exec(`UPDATE webhook_replays SET next_step_at = now() - interval '1 hour', paced_until = now() - interval '1 hour'`)
	_, ok, err = k.StepReplay(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_deliveries WHERE run = 2 AND next_attempt_at < now() - interval '30 minutes'`))
}

func TestReplayLeavesACongestedEndpointAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	busy, idle := k.endpoint(business, "max_concurrency = 1"), k.endpoint(business, "")
	k.failed(busy, 60)
	k.failed(idle, 60)
	k.exec(`UPDATE webhook_deliveries SET status = 'pending', finished_at = NULL, failure_reason = NULL
		WHERE webhook_id = $1 AND sequence <= 54`, busy.WebhookID)
	row, err := k.start(ReplaySelection{BusinessID: business}, 100)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, _, err := k.StepReplay(t.Context())
		require.NoError(t, err)
		return k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND run = 2`, idle.WebhookID) == 60
	}, 20*time.Second, time.Millisecond)
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND run = 2`, busy.WebhookID),
		"live deliveries do not queue behind a replay")
	k.exec(`UPDATE webhook_deliveries SET status = 'delivered', finished_at = now() WHERE webhook_id = $1 AND status = 'pending'`, busy.WebhookID)
	require.Eventually(t, func() bool {
		_, _, err := k.StepReplay(t.Context())
		require.NoError(t, err)
		row, err = FindReplay(k.db.Gorm, business, row.ID)
		require.NoError(t, err)
		return row.Status == models.ReplayCompleted
	}, 20*time.Second, time.Millisecond)
	require.Equal(t, models.ReplayCount{Matched: 66, Replayed: 66}, row.ReplayCount)
}

func TestReplaysWaitForTheirBusiness(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	key := k.endpoint(k.business(), "")
	k.failed(key, 1)
	k.exec(`UPDATE businesses SET status = 'suspended'`)
	_, err := k.start(ReplaySelection{BusinessID: key.BusinessID}, 0)
	require.NoError(t, err)
	_, ok, err := k.StepReplay(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`))
	in, waiting, err := k.NextReplay(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.Positive(t, in)
	k.exec(`UPDATE businesses SET status = 'active'`)
	k.exec(`UPDATE webhook_replays SET next_step_at = now()`)
	step, _, err := k.StepReplay(t.Context())
	require.NoError(t, err)
	require.Equal(t, models.ReplayCompleted, step.Status)
}

func TestReplayOfAnEndpointThatGoesAway(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	one, two := k.endpoint(business, ""), k.endpoint(business, "")
	k.failed(one, 2)
	k.failed(two, 2)
	ofOne, err := k.start(ReplaySelection{BusinessID: business, WebhookID: one.WebhookID}, 0)
	require.NoError(t, err)
	ofAll, err := k.start(ReplaySelection{BusinessID: business}, 0)
	require.NoError(t, err)
	_, err = Disable(k.db.Gorm, business, one.WebhookID, "test")
	require.NoError(t, err)
	for range 3 {
		_, _, err := k.StepReplay(t.Context())
		require.NoError(t, err)
		k.exec(`UPDATE webhook_replays SET next_step_at = now()`)
	}
	ofOne, err = FindReplay(k.db.Gorm, business, ofOne.ID)
	require.NoError(t, err)
	require.Equal(t, models.ReplayFailed, ofOne.Status)
	require.Equal(t, "the webhook was disabled", *ofOne.FailureReason)
	ofAll, err = FindReplay(k.db.Gorm, business, ofAll.ID)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCompleted, ofAll.Status)
	require.Equal(t, models.ReplayCount{Matched: 2, Replayed: 2, Skipped: 1}, ofAll.ReplayCount)
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'failed'`, one.WebhookID))
	again := k.replayed(ReplaySelection{BusinessID: business})
	require.Equal(t, models.ReplayCount{Skipped: 1}, again.ReplayCount, "a replay of the business skips disabled endpoints")
}

func TestCancelledReplays(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	key := k.endpoint(k.business(), "")
	k.failed(key, 100)
	row, err := k.start(ReplaySelection{BusinessID: key.BusinessID}, 0)
	require.NoError(t, err)
	_, _, err = k.StepReplay(t.Context())
	require.NoError(t, err)
	for range 2 {
		row, err = CancelReplay(k.db.Gorm, key.BusinessID, row.ID)
		require.NoError(t, err)
		require.Equal(t, models.ReplayCancelled, row.Status)
		require.NotNil(t, row.FinishedAt)
	}
	_, waiting, err := k.NextReplay(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
	require.Equal(t, 50, k.count(`SELECT count(*) FROM webhook_deliveries WHERE run = 2 AND status = 'pending'`), "what was replayed is sent")
	require.Equal(t, 50, k.count(`SELECT count(*) FROM webhook_deliveries WHERE run = 1 AND status = 'failed'`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_replay_targets`))
	done := k.replayed(ReplaySelection{BusinessID: key.BusinessID})
	_, err = CancelReplay(k.db.Gorm, key.BusinessID, done.ID)
	require.True(t, errs.Is(err, errs.InvalidState))
	for _, id := range []models.ReplayID{done.ID, models.NewID[models.ReplayPrefix]()} {
		_, err = CancelReplay(k.db.Gorm, k.business(), id)
		require.True(t, errs.Is(err, errs.NotFound))
	}
}

func TestReplaysPerBusinessAreBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	key := k.endpoint(k.business(), "")
	k.failed(key, 1)
	for range maxOpenReplays {
		_, err := k.start(ReplaySelection{BusinessID: key.BusinessID}, 0)
		require.NoError(t, err)
	}
	_, err := k.start(ReplaySelection{BusinessID: key.BusinessID}, 0)
	require.True(t, errs.Is(err, errs.LimitExceeded))
	_, err = k.start(ReplaySelection{BusinessID: k.business()}, 0)
	require.NoError(t, err, "others are not concerned")

	rows, err := ListReplays(k.db.Gorm, key.BusinessID, models.ReplayPending, models.ReplayID{}, 3)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	rest, err := ListReplays(k.db.Gorm, key.BusinessID, "", rows[2].ID, 100)
	require.NoError(t, err)
	require.Len(t, rest, maxOpenReplays-3)
	require.Greater(t, rows[2].ID.String(), rest[0].ID.String(), "the newest first")

	k.exec(`UPDATE webhook_replays SET id = uuid_v7(now() - interval '31 days', n)
		FROM (SELECT id AS old, row_number() OVER () AS n FROM webhook_replays WHERE status = 'completed') x WHERE id = old`)
	k.exec(`DELETE FROM webhook_replay_targets`)
	k.exec(`UPDATE webhook_replays SET status = 'cancelled', finished_at = now(), id = uuid_v7(now() - interval '31 days', extract(epoch FROM created_at)::bigint)
		WHERE business_id = $1 AND id = (SELECT max(id::text)::uuid FROM webhook_replays WHERE business_id = $1)`, key.BusinessID)
	_, err = k.start(ReplaySelection{BusinessID: key.BusinessID}, 0)
	require.NoError(t, err)
	require.Equal(t, maxOpenReplays, k.count(`SELECT count(*) FROM webhook_replays WHERE business_id = $1`, key.BusinessID), "the old one is forgotten")
}

// Several dispatchers work on one replay, each with restarts of its own beside it.
func TestConcurrentStepsReplayNothingTwice(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	keys := []LaneKey{k.endpoint(business, ""), k.endpoint(business, ""), k.endpoint(business, "")}
	for _, key := range keys {
		k.failed(key, 400)
	}
	row, err := k.start(ReplaySelection{BusinessID: business}, 1000)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error)
	for range 4 {
		dispatcher := NewDispatcher(k.db)
		go func() {
			for {
				_, _, err := dispatcher.StepReplay(ctx)
				if err != nil {
					ended <- err
					return
				}
				if now, err := FindReplay(k.db.Gorm, business, row.ID); err != nil || !now.Status.Open() {
					ended <- err
					return
				}
				// So that the endpoints are not congested: nobody sends here.
				if _, err := k.db.Pool.Exec(ctx, `UPDATE webhook_deliveries SET status = 'delivered', finished_at = now()
					WHERE id IN (SELECT id FROM webhook_deliveries WHERE status = 'pending' FOR UPDATE SKIP LOCKED)`); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range 4 {
		require.NoError(t, <-ended)
	}
	row, err = FindReplay(k.db.Gorm, business, row.ID)
	require.NoError(t, err)
	require.Equal(t, models.ReplayCount{Matched: 1200, Replayed: 1200}, row.ReplayCount)
	require.Equal(t, 1200, k.count(`SELECT count(*) FROM webhook_deliveries WHERE run = 2`), "each exactly once")
}

// A replay whose steps fail is put off: others are not held up behind it.
func TestABrokenReplayDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	broken, sound := k.endpoint(k.business(), ""), k.endpoint(k.business(), "")
	k.failed(broken, 1)
	k.failed(sound, 1)
	k.exec(`ALTER TABLE webhook_deliveries ADD CONSTRAINT broken CHECK (run = 1 OR business_id <> '` + broken.BusinessID.UUID() + `')`)
	_, err := k.start(ReplaySelection{BusinessID: broken.BusinessID}, 0)
	require.NoError(t, err)
	_, err = k.start(ReplaySelection{BusinessID: sound.BusinessID}, 0)
	require.NoError(t, err)
	_, _, err = k.StepReplay(t.Context())
	require.Error(t, err)
	step, _, err := k.StepReplay(t.Context())
	require.NoError(t, err)
	require.Equal(t, sound.BusinessID, step.BusinessID)
	require.Equal(t, models.ReplayCompleted, step.Status)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_replays WHERE status = 'pending' AND matched = 0 AND next_step_at > now()`))
}
