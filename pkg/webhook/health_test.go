package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestHealthOfALane(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	row, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	for _, test := range []struct {
		name, lane, breaker string
		blocked, failing    bool
	}{
		{"new", `breaker_failures = 0`, "closed", false, false},
		{"some failures", `breaker_failures = 4, failing_since = now()`, "closed", false, true},
		{"Retry-After", `blocked_until = now() + interval '1 h'`, "closed", true, false},
		{"cooling off", `breaker_failures = 5, failing_since = now(), blocked_until = now() + interval '1 min'`, "open", true, true},
		{"failed within a beat of a success", `breaker_failures = 5, blocked_until = now() + interval '1 min'`, "open", true, false},
		{"due for its probe", `breaker_failures = 7, failing_since = now(), blocked_until = now()`, "half_open", false, true},
		{
			"being probed", `breaker_failures = 7, failing_since = now(), owner = gen_random_uuid(), due_at = now() + interval '9 s'`,
			"half_open", false, true,
		},
		{"probe got through", `breaker_failures = 7, owner = gen_random_uuid(), due_at = now() + interval '9 s'`, "closed", false, false},
		{"holder crashed", `breaker_failures = 7, owner = gen_random_uuid(), due_at = now() - interval '1 s'`, "half_open", false, false},
		{"paused", `breaker_failures = 7, failing_since = now(), blocked_until = 'infinity'`, "open", false, true},
	} {
		_, err := db.Pool.Exec(t.Context(), `UPDATE webhook_lanes SET breaker_failures = 0, failing_since = NULL,
			blocked_until = '-infinity', owner = NULL, due_at = 'infinity'`)
		require.NoError(t, err)
		_, err = db.Pool.Exec(t.Context(), `UPDATE webhook_lanes SET `+test.lane)
		require.NoError(t, err)
		health, err := webhook.ReadHealth(db.Gorm, business, row.ID)
		require.NoError(t, err)
		require.Equal(t, test.breaker, health.Breaker, test.name)
		require.Equal(t, test.blocked, health.BlockedUntil != nil, test.name)
		require.Equal(t, test.failing, health.FailingSince != nil, test.name)
		require.Nil(t, health.SuccessRate)
		require.Zero(t, health.PendingCount)
		require.Nil(t, health.OldestPendingAt)
	}
	_, err = webhook.ReadHealth(db.Gorm, newBusiness(t, db), row.ID)
	require.True(t, errs.Is(err, errs.NotFound))
	_, err = webhook.ReadHealth(db.Gorm, business, models.NewID[models.WebhookPrefix]())
	require.True(t, errs.Is(err, errs.NotFound))
}

func TestHealthOfAQueue(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	row, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	other, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	backlog(t, db, other, 10)
	// The last one due is the oldest, as after many attempts.
	backlog(t, db, row, 2000)
	health, err := webhook.ReadHealth(db.Gorm, business, row.ID)
	require.NoError(t, err)
	require.EqualValues(t, 2000, health.PendingCount)
	require.WithinDuration(t, time.Now().Add(-2000*time.Second), time.Time(*health.OldestPendingAt), 30*time.Second)
	backlog(t, db, row, 8500)
	health, err = webhook.ReadHealth(db.Gorm, business, row.ID)
	require.NoError(t, err)
	require.EqualValues(t, 10_000, health.PendingCount, "counting stops there")
}
