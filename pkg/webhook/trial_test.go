package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestWaitingForATestIsOverWhenNothingWillCome(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	over := func(delivery webhook.DeliveryRow) bool {
		t.Helper()
		over, err := webhook.Attempted(db.Gorm, business, delivery.ID)
		require.NoError(t, err)
		return over
	}
	row, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	send := func() (sent webhook.DeliveryRow, err error) {
		err = db.InTx(t.Context(), func(tx *gorm.DB) error {
			sent, err = store.SendTest(tx, business, row.ID)
			return err
		})
		return sent, err
	}
	sent, err := send()
	require.NoError(t, err)
	require.Equal(t, models.DeliveryPending, sent.Status)
	require.Equal(t, models.EventWebhookTest, sent.EventType)
	require.False(t, over(sent))
	_, err = db.Pool.Exec(t.Context(), `UPDATE webhook_deliveries SET attempt_count = 1`)
	require.NoError(t, err)
	require.True(t, over(sent), "attempted")

	sent, err = send()
	require.NoError(t, err)
	for _, status := range []models.WebhookStatus{models.WebhookPaused, models.WebhookActive} {
		_, err = store.Update(db.Gorm, business, row.ID, webhook.Patch{Status: &status})
		require.NoError(t, err)
		require.Equal(t, status != models.WebhookActive, over(sent), status)
	}
	require.NoError(t, store.Delete(db.Gorm, business, row.ID))
	require.True(t, over(sent), "ended")
	_, err = send()
	require.True(t, errs.Is(err, errs.NotFound))
	require.True(t, over(webhook.DeliveryRow{Delivery: models.Delivery{ID: models.NewID[models.DeliveryPrefix]()}}), "gone")
}

func TestATestGoesAheadUnlessTheEndpointIsOrdered(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	for _, ordered := range []bool{false, true} {
		fields := validFields()
		fields.Ordered = ordered
		row, _, err := store.Create(db.Gorm, business, fields)
		require.NoError(t, err)
		backlog(t, db, row, 3)
		_, err = db.Pool.Exec(t.Context(), `UPDATE webhook_deliveries SET ordered = $2, sequence = sequence - 100,
			next_attempt_at = next_attempt_at - interval '1 hour' WHERE webhook_id = $1`, row.ID, ordered)
		require.NoError(t, err)
		sent, err := store.SendTest(db.Gorm, business, row.ID)
		require.NoError(t, err)
		require.Equal(t, ordered, sent.Ordered)
		first := func(order string) (id models.DeliveryID) {
			require.NoError(t, db.Pool.QueryRow(t.Context(), `SELECT id FROM webhook_deliveries
				WHERE webhook_id = $1 AND status = 'pending' ORDER BY `+order+` LIMIT 1`, row.ID).Scan(&id))
			return id
		}
		require.Equal(t, sent.ID, first("next_attempt_at, id"))
		require.Equal(t, sent.ID, first("sequence DESC"), "in its turn")
	}
}
