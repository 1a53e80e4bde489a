package outbox

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
)

// kit is a database with a dispatcher.
type kit struct {
	t  *testing.T
	db *database.DB
	*Dispatcher
}

func newKit(t *testing.T) *kit {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return &kit{t: t, db: db, Dispatcher: NewDispatcher(db)}
}

func (k *kit) exec(sql string, args ...any) {
	k.t.Helper()
	_, err := k.db.Pool.Exec(k.t.Context(), sql, args...)
	require.NoError(k.t, err)
}

func (k *kit) count(sql string, args ...any) (n int) {
	k.t.Helper()
	require.NoError(k.t, k.db.Pool.QueryRow(k.t.Context(), sql, args...).Scan(&n))
	return n
}

func (k *kit) text(sql string, args ...any) (text string) {
	k.t.Helper()
	require.NoError(k.t, k.db.Pool.QueryRow(k.t.Context(), sql, args...).Scan(&text))
	return text
}

func (k *kit) business() models.BusinessID {
	id := models.NewID[models.BusinessPrefix]()
	k.exec(`INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, id)
	return id
}

// neighbours returns two businesses of one part.
func (k *kit) neighbours() (first, second models.BusinessID) {
	first, second = k.business(), k.business()
	for PartOf(second) != PartOf(first) {
		second = k.business()
	}
	return first, second
}

// crowd adds n endpoints that want everything, with their lanes.
func (k *kit) crowd(business models.BusinessID, n int) {
	k.t.Helper()
	k.exec(`INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency)
		SELECT $1, uuid_v7(now(), n), 'https://example.com/', '{*}', 'x', 1 FROM generate_series(1, $2) n`, business, n)
	k.exec(`INSERT INTO webhook_lanes (business_id, webhook_id) SELECT business_id, id FROM webhooks WHERE business_id = $1`, business)
}

// endpoint adds an endpoint with its lane; change edits the row afterwards.
func (k *kit) endpoint(business models.BusinessID, change string, types ...string) LaneKey {
	k.t.Helper()
	key := LaneKey{business, models.NewID[models.WebhookPrefix]()}
	if len(types) == 0 {
		types = []string{"*"}
	}
	k.exec(`INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency)
		VALUES ($1, $2, 'https://example.com/', $3, 'x', 16)`, key.BusinessID, key.WebhookID, types)
	if change != "" {
		k.exec(`UPDATE webhooks SET `+change+` WHERE business_id = $1 AND id = $2`, key.BusinessID, key.WebhookID)
	}
	require.NoError(k.t, CreateLane(k.db.Gorm, key.BusinessID, key.WebhookID))
	return key
}

// events appends n events of a kind and returns their ids.
func (k *kit) events(business models.BusinessID, kind models.EventType, n int) []models.EventID {
	k.t.Helper()
	events, ids := make([]models.Event, n), make([]models.EventID, n)
	for i := range events {
		ids[i] = models.NewID[models.EventPrefix]()
		body, err := json.Marshal(fmt.Sprintf("event %d", i))
		require.NoError(k.t, err)
		events[i] = models.Event{BusinessID: business, ID: ids[i], Type: kind, Body: body, CreatedAt: database.Now()}
	}
	tx, err := k.db.Pool.Begin(k.t.Context())
	require.NoError(k.t, err)
	require.NoError(k.t, AppendMany(k.t.Context(), tx, events))
	require.NoError(k.t, tx.Commit(k.t.Context()))
	return ids
}

// fanOutAll runs fan-out steps until the outbox is empty and returns how many.
func (k *kit) fanOutAll() (steps int, last FanOutResult) {
	k.t.Helper()
	for part := range int16(Parts) {
		for more := true; more; steps++ {
			result, err := k.FanOut(k.t.Context(), part)
			require.NoError(k.t, err)
			if result.Deliveries > 0 {
				last = result
			}
			more = result.More
		}
	}
	return steps, last
}

// claimOne leases the one lane that is due.
func (k *kit) claimOne() Lane {
	k.t.Helper()
	lanes, err := k.Claim(k.t.Context(), 10)
	require.NoError(k.t, err)
	require.Len(k.t, lanes, 1)
	return lanes[0]
}

func (k *kit) fetchOne(lane Lane) Fetched {
	k.t.Helper()
	fetched, err := k.Fetch(k.t.Context(), []Want{{lane.LaneKey, lane.Epoch, 100, lane.Ordered}})
	require.NoError(k.t, err)
	return fetched[0]
}

// complete reports one attempt and returns whether it was accepted.
func (k *kit) complete(lane Lane, due Due, status models.DeliveryStatus, wait time.Duration) bool {
	k.t.Helper()
	accepted, err := k.Complete(k.t.Context(), []Result{{
		BusinessID: lane.BusinessID, DeliveryID: due.ID, WebhookID: lane.WebhookID, EventID: due.EventID, Run: due.Run, AttemptCount: due.AttemptCount,
		Status: status, Wait: wait, FailureReason: "no more attempts", StatusCode: 500, Latency: time.Millisecond, SentAt: time.Now(),
	}})
	require.NoError(k.t, err)
	return len(accepted) == 1
}

func (k *kit) release(lane Lane, touches int64, block time.Duration) bool {
	k.t.Helper()
	released, err := k.Release(k.t.Context(), []Release{{
		LaneKey: lane.LaneKey, Epoch: lane.Epoch, Touches: touches, Block: block, Ordered: lane.Ordered,
	}})
	require.NoError(k.t, err)
	return len(released) == 1
}
