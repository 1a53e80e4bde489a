package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// backlog makes n pending deliveries of an endpoint.
func backlog(t *testing.T, db *database.DB, row models.Webhook, n int) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO webhook_deliveries
		(business_id, id, event_id, webhook_id, next_attempt_at, sequence, created_at)
		SELECT $1, uuid_v7(clock_timestamp(), n), uuid_v7(clock_timestamp(), n), $2, now() + n * interval '1 s', n, now() - n * interval '1 s'
		FROM generate_series(1, $3) n`, row.BusinessID, row.ID, n)
	require.NoError(t, err)
}

func number(t *testing.T, db *database.DB, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.Pool.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

const failedWith = `SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'failed' AND failure_reason = $2`

func TestALongBacklogEndsInSteps(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	create := func(pending int) models.Webhook {
		row, _, err := store.Create(db.Gorm, business, validFields())
		require.NoError(t, err)
		backlog(t, db, row, pending)
		return row
	}
	few, deleted, disabled, bystander := create(1000), create(2500), create(1500), create(10)
	require.NoError(t, store.Delete(db.Gorm, business, few.ID))
	require.Equal(t, 1000, number(t, db, failedWith, few.ID, "endpoint deleted"), "a short one ends at once")
	ended, err := outbox.EndDeliveries(t.Context(), db)
	require.NoError(t, err)
	require.Zero(t, ended)

	require.NoError(t, store.Delete(db.Gorm, business, deleted.ID))
	require.Equal(t, 1000, number(t, db, failedWith, deleted.ID, "endpoint deleted"))
	status := models.WebhookDisabled
	_, err = store.Update(db.Gorm, business, disabled.ID, webhook.Patch{Status: &status})
	require.NoError(t, err)
	for _, status := range []models.WebhookStatus{models.WebhookActive, models.WebhookPaused} {
		_, err = store.Update(db.Gorm, business, disabled.ID, webhook.Patch{Status: &status})
		require.True(t, errs.Is(err, errs.InvalidState), "what it gets would end with the rest: %v", err)
	}

	var steps []int64
	for ended = 1; ended > 0; {
		ended, err = outbox.EndDeliveries(t.Context(), db)
		require.NoError(t, err)
		steps = append(steps, ended)
	}
	require.ElementsMatch(t, []int64{1000, 500, 500, 0}, steps)
	require.Equal(t, 2500, number(t, db, failedWith, deleted.ID, "endpoint deleted"))
	require.Equal(t, 1500, number(t, db, failedWith, disabled.ID, "endpoint disabled: disabled by its owner"))
	require.Equal(t, 10, number(t, db, `SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'pending'`, bystander.ID))
	status = models.WebhookActive
	_, err = store.Update(db.Gorm, business, disabled.ID, webhook.Patch{Status: &status})
	require.NoError(t, err)
}

// A row that somebody completes at the moment is left for the next step, and an
// endpoint that an older release enabled keeps what it has.
func TestEndingDeliveriesWaitsForNobody(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	row, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	backlog(t, db, row, 3)
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `SELECT FROM webhook_deliveries WHERE sequence = 2 FOR UPDATE`)
	require.NoError(t, err)
	require.NoError(t, store.Delete(db.Gorm, business, row.ID))
	require.Equal(t, 2, number(t, db, failedWith, row.ID, "endpoint deleted"))
	require.NoError(t, tx.Rollback(t.Context()))
	ended, err := outbox.EndDeliveries(t.Context(), db)
	require.NoError(t, err)
	require.EqualValues(t, 1, ended)

	revived, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	backlog(t, db, revived, 3)
	_, err = db.Pool.Exec(t.Context(), `UPDATE webhook_lanes SET ending_reason = 'old' WHERE webhook_id = $1`, revived.ID)
	require.NoError(t, err)
	ended, err = outbox.EndDeliveries(t.Context(), db)
	require.NoError(t, err)
	require.Zero(t, ended)
	require.Zero(t, number(t, db, `SELECT count(*) FROM webhook_lanes WHERE ending_reason IS NOT NULL`))
	require.Equal(t, 3, number(t, db, `SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`))
}

func TestOrderIsNotChangedUnderALongBacklog(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	row, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	backlog(t, db, row, 10_001)
	_, err = store.Update(db.Gorm, business, row.ID, webhook.Patch{Ordered: new(true)})
	require.True(t, errs.Is(err, errs.InvalidState), "%v", err)
	read, err := store.Get(db.Gorm, business, row.ID)
	require.NoError(t, err)
	require.False(t, read.Ordered)
	_, err = store.Update(db.Gorm, business, row.ID, webhook.Patch{Ordered: new(false), RateLimit: new(new(5))})
	require.NoError(t, err, "what stays is not judged")
}
