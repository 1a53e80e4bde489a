package outbox

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

func TestFanOutFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business, other := k.business(), k.business()
	want := map[LaneKey]int{
		k.endpoint(business, ""):                                            3,
		k.endpoint(business, "", "transaction.*"):                           2,
		k.endpoint(business, "", "transaction.created"):                     1,
		k.endpoint(business, "", "account.created", "transaction.reversed"): 2,
		k.endpoint(business, "", "hold.*"):                                  0,
		k.endpoint(business, "status = 'paused'"):                           3,
		k.endpoint(business, "status = 'disabled', disabled_reason = 'x'"):  0,
		k.endpoint(business, "deleted_at = now()"):                          0,
		k.endpoint(other, ""):                                               0,
	}
	for _, kind := range []models.EventType{models.EventTransactionCreated, models.EventTransactionReversed, models.EventAccountCreated} {
		k.events(business, kind, 1)
	}
	k.fanOutAll()
	for key, n := range want {
		require.Equal(t, n, k.count(`SELECT count(*) FROM webhook_deliveries WHERE business_id = $1 AND webhook_id = $2`,
			key.BusinessID, key.WebhookID))
	}
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_outbox`))
}

func TestFanOutOfABroadcastStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	const endpoints = 2900
	k.crowd(business, endpoints)
	ids := k.events(business, models.EventTransactionCreated, 3)

	first, err := k.FanOut(t.Context(), PartOf(business))
	require.NoError(t, err)
	require.Equal(t, FanOutResult{Events: 0, Deliveries: fanOutDeliveries, More: true, Due: true}, first)
	require.Equal(t, fanOutDeliveries, k.count(`SELECT count(*) FROM webhook_deliveries WHERE event_id = $1`, ids[0]),
		"the first event is finished before the second starts")

	require.Equal(t, promptLanes, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at = (SELECT min(due_at) FROM webhook_lanes)`))
	require.Equal(t, fanOutDeliveries-promptLanes, k.count(`SELECT count(DISTINCT due_at) FROM webhook_lanes WHERE due_at < 'infinity'
		AND due_at > (SELECT min(due_at) FROM webhook_lanes)`), "the others follow at a pace")

	k.fanOutAll()
	for _, id := range ids {
		require.Equal(t, endpoints, k.count(`SELECT count(*) FROM webhook_deliveries WHERE event_id = $1`, id))
	}
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_outbox`))
	require.Equal(t, 3*endpoints, k.count(`SELECT count(DISTINCT id) FROM webhook_deliveries`))
	require.Equal(t, endpoints, k.count(`SELECT count(*) FROM webhook_lanes WHERE due_at < 'infinity'`))
}

// A broadcast takes several steps; the events of other businesses in its part get
// through in the first of them.
func TestABroadcastLeavesAShareOfAStepToOthers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	loud, quiet := k.neighbours()
	k.crowd(loud, 2*fanOutDeliveries)
	key := k.endpoint(quiet, "")
	// Its lane was held until a moment ago.
	k.events(quiet, models.EventTransactionCreated, 1)
	k.fanOutAll()
	lane := k.claimOne()
	fetched := k.fetchOne(lane)
	require.True(t, k.complete(lane, fetched.Due[0], models.DeliveryDelivered, 0))
	require.True(t, k.release(lane, fetched.Touches, 0))

	k.events(loud, models.EventTransactionCreated, 2)
	ids := k.events(quiet, models.EventTransactionCreated, 2)
	k.events(loud, models.EventTransactionCreated, 1)

	first, err := k.FanOut(t.Context(), PartOf(loud))
	require.NoError(t, err)
	require.Equal(t, fanOutDeliveries/2+len(ids), first.Deliveries)
	require.Equal(t, len(ids), first.Events)
	require.True(t, first.More)
	require.Equal(t, 1+len(ids), k.count(`SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1`, key.WebhookID))
	require.Equal(t, 1, k.count(`SELECT count(DISTINCT event_id) FROM webhook_deliveries WHERE business_id = $1`, loud),
		"the first event is finished before the second starts")

	// Its lane goes ahead of all but the first lanes of the broadcast.
	require.Equal(t, promptLanes, k.count(`SELECT count(*) FROM webhook_lanes l JOIN webhook_lanes q ON q.webhook_id = $1
		WHERE l.business_id = $2 AND l.due_at <= q.due_at`, key.WebhookID, loud))
	second, err := k.FanOut(t.Context(), PartOf(loud))
	require.NoError(t, err)
	require.Equal(t, fanOutDeliveries, second.Deliveries, "alone, it gets whole steps")
	require.Zero(t, k.count(`WITH l AS (SELECT due_at, row_number() OVER (ORDER BY webhook_id) AS n FROM webhook_lanes
		WHERE business_id = $1 AND due_at < 'infinity')
		SELECT count(*) FROM l WHERE n > $2 AND due_at <= (SELECT max(due_at) FROM l WHERE n <= $2)`,
		loud, fanOutDeliveries/2), "its later lanes keep their place in the queue")

	k.fanOutAll()
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_outbox`))
	require.Equal(t, 3*2*fanOutDeliveries+1+len(ids), k.count(`SELECT count(*) FROM webhook_deliveries`))
}

// Many businesses and types in one step: every event finds the endpoints of its
// own business and type, within every bound.
func TestFanOutKeepsBusinessesAndTypesApart(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	kinds := []models.EventType{models.EventTransactionCreated, models.EventTransactionReversed, models.EventHoldCreated, models.EventAccountCreated}
	want := map[LaneKey]int{}
	for range 40 {
		business := k.business()
		for range rand.IntN(5) {
			var key LaneKey
			n := 0
			switch rand.IntN(4) {
			case 0:
				key, n = k.endpoint(business, ""), 8
			case 1:
				key, n = k.endpoint(business, "", "transaction.*", "transaction.created"), 4
			case 2:
				key, n = k.endpoint(business, "ordered = true", "hold.created"), 2
			default:
				key = k.endpoint(business, "", "webhook.disabled")
			}
			want[key] = n
		}
		for range 2 {
			for _, kind := range kinds {
				k.events(business, kind, 1)
			}
		}
	}
	k.fanOutAll()
	for key, n := range want {
		require.Equal(t, n, k.count(`SELECT count(*) FROM webhook_deliveries d JOIN webhooks w ON w.business_id = d.business_id AND w.id = d.webhook_id
			JOIN webhook_events e ON e.business_id = d.business_id AND e.id = d.event_id
			WHERE d.business_id = $1 AND d.webhook_id = $2 AND d.ordered = w.ordered
			  AND w.event_types && ARRAY['*', e.type, split_part(e.type, '.', 1) || '.*']`, key.BusinessID, key.WebhookID))
	}
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_outbox`))
	require.Equal(t, 320, k.count(`SELECT count(*) FROM webhook_events`))
}

func TestFanOutWhereNobodyListensEmptiesTheOutbox(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.events(business, models.EventAccountCreated, 700)
	steps, _ := k.fanOutAll()
	require.Equal(t, Parts+1, steps, "500 events in the first step, the rest in a second")
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_outbox`))
	require.Equal(t, 700, k.count(`SELECT count(*) FROM webhook_events`), "for later replay")
}

func TestFanOutSkipsWhatWasFannedOutBefore(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	key := k.endpoint(business, "")
	id := k.events(business, models.EventAccountCreated, 1)[0]
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at)
		VALUES ($1, $2, $3, $4, 'delivered', now(), 1, now(), now())`, business, models.NewID[models.DeliveryPrefix](), id, key.WebhookID)
	k.fanOutAll()
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries`))
	require.Zero(t, k.count(`SELECT count(*) FROM webhook_outbox`))
}

func TestFanOutTellsWhoseLanesHaveWork(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	other := NewDispatcher(k.db)
	business := k.business()
	mine, theirs, nobodys := k.endpoint(business, "", "account.created"), k.endpoint(business, "", "account.updated"), k.endpoint(business, "", "hold.created")
	hold := func(d *Dispatcher, kind models.EventType) {
		k.events(business, kind, 1)
		k.fanOutAll()
		lanes, err := d.Claim(t.Context(), 10)
		require.NoError(t, err)
		require.Len(t, lanes, 1)
	}
	hold(k.Dispatcher, models.EventAccountCreated)
	hold(other, models.EventAccountUpdated)
	for _, kind := range []models.EventType{models.EventAccountCreated, models.EventAccountUpdated, models.EventHoldCreated} {
		k.events(business, kind, 1)
	}
	result, err := k.FanOut(t.Context(), PartOf(business))
	require.NoError(t, err)
	require.Equal(t, []LaneKey{mine}, result.Mine)
	require.Equal(t, []string{other.Owner()}, result.Foreign)
	require.True(t, result.Due)
	_, _ = theirs, nobodys
}

func TestConcurrentFanOutMakesEveryDeliveryOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	for range 3 {
		k.endpoint(business, "")
	}
	done := make(chan error, 4)
	stop := time.Now().Add(time.Second)
	for range cap(done) {
		d := NewDispatcher(k.db)
		go func() {
			var failed error
			for failed == nil && time.Now().Before(stop) {
				_, failed = d.FanOut(t.Context(), PartOf(business))
			}
			done <- failed
		}()
	}
	total := 0
	for time.Now().Before(stop) {
		k.events(business, models.EventAccountUpdated, 7)
		total += 7
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	k.fanOutAll()
	require.Equal(t, 3*total, k.count(`SELECT count(*) FROM webhook_deliveries`))
	require.Zero(t, k.count(`SELECT count(*) FROM (SELECT sequence, row_number() OVER (ORDER BY id) - row_number() OVER (ORDER BY sequence, id) AS d
		FROM webhook_deliveries) s WHERE d <> 0`), "deliveries are made in the order of the outbox")
}

func TestPipelineSettingsEndWithIt(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	conn, err := k.db.Pool.Acquire(t.Context())
	require.NoError(t, err)
	conn.Release() // the pool hands the same idle connection out again
	_, err = k.Claim(t.Context(), 1)
	require.NoError(t, err)
	for name, want := range map[string]string{"synchronous_commit": "on", "enable_seqscan": "on", "statement_timeout": "0"} {
		require.Equal(t, want, k.text(`SELECT current_setting($1)`, name))
	}
	var inside string
	require.NoError(t, pipeline(t.Context(), k.db.Pool, step{`SELECT current_setting('synchronous_commit')`, nil, readText(&inside)}))
	require.Equal(t, "off", inside)
}
