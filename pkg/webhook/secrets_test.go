package webhook_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

func newStore(ring *webhook.Keyring) *webhook.Store {
	return webhook.NewStore(webhook.Options{Keyring: ring, MaxPerBusiness: 100_000})
}

// endpoints creates n endpoints of a business and returns their secrets.
func endpoints(t *testing.T, db *database.DB, store *webhook.Store, business models.BusinessID, n int) map[models.WebhookID]string {
	t.Helper()
	secrets := make(map[models.WebhookID]string, n)
	for range n {
		row, secret, err := store.Create(db.Gorm, business, validFields())
		require.NoError(t, err)
		secrets[row.ID] = secret
	}
	return secrets
}

func checkSecrets(t *testing.T, db *database.DB, ring *webhook.Keyring) webhook.SecretsReport {
	t.Helper()
	report, err := webhook.CheckSecrets(t.Context(), db, ring)
	require.NoError(t, err)
	return report
}

func TestCheckSecretsCountsByKey(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	former, latter := newKeyring(t, 1), newKeyring(t, 2, 1)
	require.Equal(t, former.KeyIDs()[0], latter.KeyIDs()[1])
	require.Len(t, newKeyring(t, 3, 3).KeyIDs(), 1)
	require.Equal(t, webhook.SecretsReport{ByKey: map[string]int{}}, checkSecrets(t, db, former))

	endpoints(t, db, newStore(former), newBusiness(t, db), 150)
	endpoints(t, db, newStore(latter), newBusiness(t, db), 150)
	endpoints(t, db, newStore(former), newBusiness(t, db), 130)
	report := checkSecrets(t, db, latter)
	require.Equal(t, webhook.SecretsReport{
		Total: 430, ByKey: map[string]int{latter.KeyIDs()[0]: 150, former.KeyIDs()[0]: 280}, Stale: 280,
	}, report)

	report = checkSecrets(t, db, newKeyring(t, 2))
	require.Equal(t, 280, report.UndecryptableCount)
	require.Len(t, report.Undecryptable, 100, "named as far as anybody reads")
	require.Zero(t, report.Stale)
}

func TestCheckSecretsTellsWhatNothingNeeds(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	ring, business := newKeyring(t, 1), newBusiness(t, db)
	store := newStore(ring)
	deleted, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	rotated, _, err := store.Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	for range 2 {
		_, _, err = store.RotateSecret(db.Gorm, business, rotated.ID, time.Hour)
		require.NoError(t, err)
	}
	require.NoError(t, store.Delete(db.Gorm, business, deleted.ID))
	report := checkSecrets(t, db, newKeyring(t, 9))
	require.Equal(t, 5, report.Total, "two current ones, two former ones, and one of those for the release before")
	require.Equal(t, 1, report.Abandoned, "of the deleted endpoint")
	require.Equal(t, 4, report.UndecryptableCount)
	require.Equal(t, []models.WebhookID{rotated.ID}, report.Undecryptable, "each endpoint once")

	for _, sql := range []string{
		`UPDATE webhook_previous_secrets SET expires_at = now() - interval '1 s'`,
		`UPDATE webhooks SET previous_secret_expires_at = now() - interval '1 s' WHERE previous_secret_expires_at IS NOT NULL`,
	} {
		_, err = db.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	report = checkSecrets(t, db, newKeyring(t, 9))
	require.Equal(t, 4, report.Abandoned)
	require.Equal(t, 1, report.UndecryptableCount)

	_, err = db.Pool.Exec(t.Context(), `UPDATE webhooks SET secret_ciphertext = '\x00' WHERE id = $1`, rotated.ID)
	require.NoError(t, err)
	report = checkSecrets(t, db, ring)
	require.Equal(t, 1, report.ByKey["malformed"])
	require.Equal(t, 1, report.UndecryptableCount)
	require.Zero(t, report.Abandoned)
}

// requireSecrets fails the test unless the endpoints still have their secrets, and
// need no key but the ring's.
func requireSecrets(t *testing.T, db *database.DB, ring *webhook.Keyring, business models.BusinessID, secrets map[models.WebhookID]string) {
	t.Helper()
	report := checkSecrets(t, db, ring)
	require.Zero(t, report.UndecryptableCount+report.Abandoned+report.Stale, "%+v", report)
	for id, secret := range secrets {
		row, err := webhook.Get(db.Gorm, business, id)
		require.NoError(t, err)
		opened, err := ring.Open(business, id, row.SecretCiphertext)
		require.NoError(t, err)
		require.Equal(t, secret, webhook.FormatSecret(opened))
	}
}

func TestReencryptLeavesOnlyTheFirstKey(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	former, both, latter := newKeyring(t, 1), newKeyring(t, 2, 1), newKeyring(t, 2)
	store := newStore(former)
	secrets := endpoints(t, db, store, business, 250)
	var rotated models.WebhookID
	for id := range secrets {
		rotated = id
		break
	}
	was := secrets[rotated]
	_, now, err := store.RotateSecret(db.Gorm, business, rotated, time.Hour)
	require.NoError(t, err)
	secrets[rotated] = now
	before, err := webhook.Get(db.Gorm, business, rotated)
	require.NoError(t, err)

	var seen []int
	done, err := webhook.Reencrypt(t.Context(), db, both, func(pass, n int) {
		if pass == 1 {
			seen = append(seen, n)
		}
	})
	require.NoError(t, err)
	require.Equal(t, webhook.Reencryption{Reencrypted: 252}, done)
	require.Len(t, seen, 2, "in pages")
	require.Equal(t, 252, seen[1])
	requireSecrets(t, db, latter, business, secrets)
	var ciphertext []byte
	require.NoError(t, db.Pool.QueryRow(t.Context(), `SELECT ciphertext FROM webhook_previous_secrets`).Scan(&ciphertext))
	opened, err := latter.Open(business, rotated, ciphertext)
	require.NoError(t, err)
	require.Equal(t, was, webhook.FormatSecret(opened), "the former secret signs on")
	after, err := webhook.Get(db.Gorm, business, rotated)
	require.NoError(t, err)
	require.Equal(t, before.UpdatedAt, after.UpdatedAt, "nothing changed that the owner sees")

	done, err = webhook.Reencrypt(t.Context(), db, both, nil)
	require.NoError(t, err)
	require.Zero(t, done, "there is nothing left to do")
}

func TestReencryptGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	secrets := endpoints(t, db, newStore(newKeyring(t, 1)), business, 250)
	both := newKeyring(t, 2, 1)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := webhook.Reencrypt(ctx, db, both, func(int, int) { cancel() })
	require.Error(t, err)
	require.Equal(t, 50, checkSecrets(t, db, both).Stale, "the first page is done")
	done, err := webhook.Reencrypt(t.Context(), db, both, nil)
	require.NoError(t, err)
	require.Equal(t, 50, done.Reencrypted)
	requireSecrets(t, db, newKeyring(t, 2), business, secrets)
}

func TestReencryptLeavesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	lost := endpoints(t, db, newStore(newKeyring(t, 7)), business, 1)
	endpoints(t, db, newStore(newKeyring(t, 1)), business, 3)
	done, err := webhook.Reencrypt(t.Context(), db, newKeyring(t, 2, 1), nil)
	require.NoError(t, err)
	require.Equal(t, 3, done.Reencrypted, "the others are served all the same")
	report := checkSecrets(t, db, newKeyring(t, 2))
	require.Equal(t, 1, report.UndecryptableCount)
	require.Contains(t, lost, report.Undecryptable[0])
}

// Endpoints are created and secrets rotated all the time while the key is changed:
// nobody loses a secret, and afterwards nobody needs the old key.
func TestReencryptBesideChanges(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	secrets := endpoints(t, db, newStore(newKeyring(t, 1)), business, 300)
	both := newKeyring(t, 2, 1)
	store := newStore(both)
	ids := make([]models.WebhookID, 0, len(secrets))
	for id := range secrets {
		ids = append(ids, id)
	}
	var mu sync.Mutex
	stop := make(chan struct{})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := worker; ; i += 4 {
				select {
				case <-stop:
					return
				default:
				}
				// One worker alone has each of them, and every other round leaves no former one.
				id, grace := ids[i%len(ids)], time.Hour
				if i/len(ids)%2 == 1 {
					grace = 0
				}
				row, secret, err := store.RotateSecret(db.Gorm, business, id, grace)
				if i%2 == 0 && err == nil {
					mu.Lock()
					secrets[id] = secret
					mu.Unlock()
					row, secret, err = store.Create(db.Gorm, business, validFields())
				}
				if err != nil {
					t.Errorf("beside a rotation: %v", err)
					return
				}
				mu.Lock()
				secrets[row.ID] = secret
				mu.Unlock()
			}
		})
	}
	_, err := webhook.Reencrypt(t.Context(), db, both, nil)
	close(stop)
	group.Wait()
	require.NoError(t, err)
	requireSecrets(t, db, newKeyring(t, 2), business, secrets)
}

// A secret that is rotated between being read and being replaced keeps its new
// value, and the one that it had before is found in its new place.
func TestReencryptDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	former, both := newKeyring(t, 1), newKeyring(t, 2, 1)
	row, _, err := newStore(former).Create(db.Gorm, business, validFields())
	require.NoError(t, err)
	id := row.ID
	tx := db.Gorm.Begin()
	defer tx.Rollback()
	_, secret, err := newStore(both).RotateSecret(tx, business, id, time.Hour)
	require.NoError(t, err)
	finished := make(chan error, 1)
	var done webhook.Reencryption
	go func() {
		var err error
		done, err = webhook.Reencrypt(context.Background(), db, both, nil)
		finished <- err
	}()
	require.Eventually(t, func() bool { // it has read the old secret and waits for the row
		var waiting int
		err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE webhooks%'`).Scan(&waiting)
		return err == nil && waiting == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, tx.Commit().Error)
	require.NoError(t, <-finished)
	require.Equal(t, webhook.Reencryption{Reencrypted: 2, Changed: 1}, done)
	requireSecrets(t, db, newKeyring(t, 2), business, map[models.WebhookID]string{id: secret})
	report := checkSecrets(t, db, newKeyring(t, 2))
	require.Equal(t, 3, report.Total)
}

// An API that has not got the new key first goes on writing with the old one:
// nothing may tell the operator that the old key can go.
func TestReencryptNoticesAnAPIWithTheOldKeyFirst(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	old := newStore(newKeyring(t, 1, 2))
	endpoints(t, db, old, business, 1)
	_, err := webhook.Reencrypt(t.Context(), db, newKeyring(t, 2, 1), func(int, int) {
		_, _, err := old.Create(db.Gorm, business, validFields())
		if err != nil {
			t.Errorf("creating: %v", err)
		}
	})
	require.True(t, errs.Is(err, errs.InvalidState), "%v", err)
	require.ErrorContains(t, err, "every API")
}
