package webhook

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// maxReencryptPasses bounds how often Reencrypt looks for secrets that came
// behind it. Two are the rule: one that works and one that finds nothing.
const maxReencryptPasses = 5

// Reencryption is what Reencrypt did.
type Reencryption struct {
	// Reencrypted counts secrets that have the first key now, Changed those that
	// somebody else changed at the same moment and that were looked at once more.
	Reencrypted, Changed int
}

// Reencrypt encrypts every stored signing secret with the first key of the
// keyring, page by page, beside running APIs and dispatchers. A secret is replaced
// only if it is still the one that was read, so that one which is rotated at the
// same moment keeps its new value; cut off, it has done a part, and the next run
// does the rest. Those that cannot be opened are left alone: CheckSecrets names
// them. progress hears after each page how many secrets of the present pass were
// seen; it may be nil.
//
// InvalidState when secrets keep coming that have another key: then some API has
// not got the keyring's first key first.
func Reencrypt(ctx context.Context, db *database.DB, keyring *Keyring, progress func(pass, seen int)) (Reencryption, error) {
	var done Reencryption
	for pass := 1; ; pass++ {
		seen, stale := 0, 0
		err := eachSecretsPage(ctx, db, func(page []storedSecret) error {
			due := dueForReencryption(page, keyring)
			if stale += len(due); len(due) > 0 {
				replaced, err := replaceSecrets(ctx, db, due)
				if err != nil {
					return err
				}
				done.Reencrypted += replaced
				done.Changed += len(due) - replaced
			}
			if seen += len(page); progress != nil {
				progress(pass, seen)
			}
			return nil
		})
		switch {
		case err != nil || stale == 0:
			return done, err
		case pass == maxReencryptPasses:
			return done, errs.New(errs.InvalidState, "secrets are still being written with another key: "+
				"give every API the same security.encryption_keys, the new key first, and run this again")
		}
	}
}

// replacement is a secret under its new key.
type replacement struct {
	storedSecret
	fresh []byte
}

// dueForReencryption seals what the first key did not make and the keyring opens.
func dueForReencryption(page []storedSecret, keyring *Keyring) []replacement {
	var due []replacement
	for _, s := range page {
		if keyring.Current(s.ciphertext) {
			continue
		}
		secret, err := keyring.Open(s.business, s.webhook, s.ciphertext)
		if err != nil {
			continue // CheckSecrets tells
		}
		due = append(due, replacement{s, keyring.Seal(s.business, s.webhook, secret)})
	}
	return due
}

// replaceSQL compares and swaps. updated_at stays, for nothing changes that the
// owner of the endpoint sees.
var replaceSQL = map[secretPlace]string{ //nolint:gosec // G101: names of columns
	currentSecret: `UPDATE webhooks w SET secret_ciphertext = s.fresh
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) AS s (business_id, webhook_id, stale, fresh)
WHERE w.business_id = s.business_id AND w.id = s.webhook_id AND w.secret_ciphertext = s.stale`,
	formerColumn: `UPDATE webhooks w SET previous_secret_ciphertext = s.fresh
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) AS s (business_id, webhook_id, stale, fresh)
WHERE w.business_id = s.business_id AND w.id = s.webhook_id AND w.previous_secret_ciphertext = s.stale`,
	formerSecret: `UPDATE webhook_previous_secrets p SET ciphertext = s.fresh
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) AS s (business_id, webhook_id, stale, fresh)
WHERE p.business_id = s.business_id AND p.webhook_id = s.webhook_id AND p.ciphertext = s.stale`,
}

// replaceSecrets swaps a page in one transaction and returns how many were still
// what had been read.
func replaceSecrets(ctx context.Context, db *database.DB, due []replacement) (replaced int, err error) {
	err = db.InPgxTx(ctx, func(tx pgx.Tx) error {
		replaced = 0
		// The endpoint's row before its former secrets: the order of RotateSecret.
		for _, place := range []secretPlace{currentSecret, formerColumn, formerSecret} {
			var businesses []models.BusinessID
			var webhooks []models.WebhookID
			var stale, fresh [][]byte
			for _, r := range due {
				if r.place == place {
					businesses, webhooks = append(businesses, r.business), append(webhooks, r.webhook)
					stale, fresh = append(stale, r.ciphertext), append(fresh, r.fresh)
				}
			}
			if len(stale) == 0 {
				continue
			}
			tag, err := tx.Exec(ctx, replaceSQL[place], businesses, webhooks, stale, fresh)
			if err != nil {
				return fmt.Errorf("re-encrypting secrets: %w", err)
			}
			replaced += int(tag.RowsAffected())
		}
		return nil
	})
	return replaced, err
}
