package webhook_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

func openDB(t *testing.T) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func newBusiness(t *testing.T, db *database.DB) models.BusinessID {
	t.Helper()
	business := models.Business{
		ID: models.NewID[models.BusinessPrefix](), Name: "Acme", Status: models.BusinessActive, DefaultCurrency: "USD",
	}
	require.NoError(t, db.Gorm.Create(&business).Error)
	return business.ID
}

func newKeyring(t *testing.T, seeds ...byte) *webhook.Keyring {
	t.Helper()
	keys := make([][]byte, len(seeds))
	for i, seed := range seeds {
		keys[i] = bytes.Repeat([]byte{seed}, 32)
	}
	ring, err := webhook.NewKeyring(keys)
	require.NoError(t, err)
	return ring
}

func validFields() webhook.Fields {
	return webhook.Fields{URL: "https://hooks.example.com/txn", EventTypes: []string{"*"}}
}

// requireSame compares rows as the API shows them: a row that was read has its
// times in another location.
func requireSame(t *testing.T, want, got models.Webhook) {
	t.Helper()
	shown, err := wire.Marshal(wire.NewWebhook(want))
	require.NoError(t, err)
	read, err := wire.Marshal(wire.NewWebhook(got))
	require.NoError(t, err)
	require.JSONEq(t, string(shown), string(read))
	require.Equal(t, want.SecretCiphertext, got.SecretCiphertext)
}

func TestStoreKeepsEndpoints(t *testing.T) {
	t.Parallel()
	db, ring := openDB(t), newKeyring(t, 1)
	store := webhook.NewStore(webhook.Options{Keyring: ring})
	business, other := newBusiness(t, db), newBusiness(t, db)

	fields := validFields()
	fields.Metadata = map[string]string{"team": "payments"}
	fields.Headers = map[string]string{"X-Team": "payments"}
	created, secret, err := store.Create(db.Gorm, business, fields)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(secret, "whsec_"))
	require.Equal(t, webhook.DefaultMaxConcurrency, created.MaxConcurrency)

	read, err := store.Get(db.Gorm, business, created.ID)
	require.NoError(t, err)
	requireSame(t, created, read)
	opened, err := ring.Open(business, created.ID, read.SecretCiphertext)
	require.NoError(t, err)
	require.Equal(t, secret, webhook.FormatSecret(opened))
	require.NotContains(t, string(read.SecretCiphertext), string(opened))

	t.Run("another business finds nothing", func(t *testing.T) {
		_, err := store.Get(db.Gorm, other, created.ID)
		require.True(t, errs.Is(err, errs.NotFound))
		_, err = store.Update(db.Gorm, other, created.ID, webhook.Patch{URL: new("https://evil.example.com/")})
		require.True(t, errs.Is(err, errs.NotFound))
		require.True(t, errs.Is(store.Delete(db.Gorm, other, created.ID), errs.NotFound))
		list, err := store.List(db.Gorm, other, models.WebhookID{}, 10)
		require.NoError(t, err)
		require.Empty(t, list)
	})

	second, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	list, err := store.List(db.Gorm, business, models.WebhookID{}, 1)
	require.NoError(t, err)
	require.Equal(t, second.ID, list[0].ID)
	list, err = store.List(db.Gorm, business, second.ID, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, created.ID, list[0].ID)

	require.NoError(t, store.Delete(db.Gorm, business, created.ID))
	_, err = store.Get(db.Gorm, business, created.ID)
	require.True(t, errs.Is(err, errs.NotFound))
	require.True(t, errs.Is(store.Delete(db.Gorm, business, created.ID), errs.NotFound))
}

func TestStoreLimitsEndpointsPerBusiness(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1), MaxPerBusiness: 3})
	business := newBusiness(t, db)
	results := make(chan error, 8)
	for range cap(results) {
		go func() {
			_, _, err := store.Create(db.Gorm, business, validFields())
			results <- err
		}()
	}
	refused := 0
	for range cap(results) {
		if err := <-results; err != nil {
			require.True(t, errs.Is(err, errs.LimitExceeded), err)
			refused++
		}
	}
	require.Equal(t, 5, refused)
	_, _, err := store.Create(db.Gorm, newBusiness(t, db), validFields())
	require.NoError(t, err, "the cap is per business")
}

func TestStoreWorksInsideATransaction(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	err := db.InTx(t.Context(), func(tx *gorm.DB) error {
		if _, _, err := store.Create(tx, business, validFields()); err != nil {
			return err
		}
		return errs.New(errs.InvalidState, "changed my mind")
	})
	require.True(t, errs.Is(err, errs.InvalidState))
	list, err := store.List(db.Gorm, business, models.WebhookID{}, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestStoreUpdates(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	business := newBusiness(t, db)
	fields := validFields()
	fields.RateLimit, fields.Description = new(5), new("first")
	row, _, err := store.Create(db.Gorm, business, fields)
	require.NoError(t, err)

	_, err = db.Pool.Exec(t.Context(), `INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, next_attempt_at, sequence, created_at)
		VALUES ($1, $2, $3, $4, now(), 1, now())`, business, models.NewID[models.DeliveryPrefix](), models.NewID[models.EventPrefix](), row.ID)
	require.NoError(t, err)
	changed, err := store.Update(db.Gorm, business, row.ID, webhook.Patch{
		URL: new("https://other.example.com/"), EventTypes: &[]string{"transaction.*"},
		Description: new((*string)(nil)), RateLimit: new((*int)(nil)), Ordered: new(true),
	})
	require.NoError(t, err)
	read, err := store.Get(db.Gorm, business, row.ID)
	require.NoError(t, err)
	requireSame(t, changed, read)
	require.Nil(t, read.Description)
	require.Nil(t, read.RateLimit)
	require.True(t, read.Ordered)
	var ordered bool
	require.NoError(t, db.Pool.QueryRow(t.Context(), `SELECT bool_and(ordered) FROM webhook_deliveries`).Scan(&ordered))
	require.True(t, ordered, "what is pending follows")
	require.Equal(t, models.TextList{"transaction.*"}, read.EventTypes)
	require.Equal(t, row.SecretCiphertext, read.SecretCiphertext)

	for _, status := range []models.WebhookStatus{
		models.WebhookPaused, models.WebhookActive, models.WebhookDisabled, models.WebhookActive,
	} {
		changed, err := store.Update(db.Gorm, business, row.ID, webhook.Patch{Status: &status})
		require.NoError(t, err)
		require.Equal(t, status, changed.Status)
		require.Equal(t, status == models.WebhookDisabled, changed.DisabledReason != nil)
		var claimable bool
		require.NoError(t, db.Pool.QueryRow(t.Context(),
			`SELECT due_at <= now() AND blocked_until <= now() FROM webhook_lanes WHERE webhook_id = $1`, row.ID).Scan(&claimable))
		require.Equal(t, status == models.WebhookActive, claimable, "status %s", status)
	}
	_, err = store.Update(db.Gorm, business, row.ID, webhook.Patch{Status: new(models.WebhookStatus("gone"))})
	require.True(t, errs.Is(err, errs.ValidationFailed))
	_, err = store.Update(db.Gorm, business, row.ID, webhook.Patch{URL: new("http://example.com")})
	require.True(t, errs.Is(err, errs.ValidationFailed))
}

func TestStoreDoesNotJudgeAURLAgainThatStays(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	lax := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1), AllowInsecure: true})
	strict := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	fields := validFields()
	fields.URL = "http://127.0.0.1:8080/hook"
	created, _, err := lax.Create(db.Gorm, business, fields)
	require.NoError(t, err)
	paused := models.WebhookPaused
	updated, err := strict.Update(db.Gorm, business, created.ID, webhook.Patch{Status: &paused})
	require.NoError(t, err)
	require.Equal(t, models.WebhookPaused, updated.Status)
	_, err = strict.Update(db.Gorm, business, created.ID, webhook.Patch{URL: &fields.URL})
	require.True(t, errs.Is(err, errs.ValidationFailed), "%v", err)
}
