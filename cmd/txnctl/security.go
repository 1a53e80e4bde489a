package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// keyUse is how many stored secrets an encryption key encrypts.
type keyUse struct {
	KeyID string `json:"key_id"`
	// Position is the key's place in security.encryption_keys, from 1; null when it
	// is not there.
	Position *int `json:"position"`
	Secrets  int  `json:"secrets"`
}

// keyRotation is the result of a rotation of the encryption key.
type keyRotation struct {
	DryRun  bool `json:"dry_run"`
	Secrets int  `json:"secrets"`
	// Stale secrets can be opened and do not have the first key.
	Stale       int `json:"stale"`
	Reencrypted int `json:"reencrypted"`
	// Undecryptable secrets need a key that is not given, and Webhooks are the first
	// hundred of their endpoints.
	Undecryptable int                `json:"undecryptable"`
	Webhooks      []models.WebhookID `json:"undecryptable_webhooks"`
	// Abandoned secrets are as those, but nothing needs them.
	Abandoned int      `json:"abandoned"`
	Keys      []keyUse `json:"keys"`
}

var keyRotationView = view[keyRotation]{
	shape: func(r keyRotation) any { return r },
	columns: []column[keyRotation]{
		{title: "SECRETS", cell: func(r keyRotation) string { return strconv.Itoa(r.Secrets) }},
		{title: "STALE", cell: func(r keyRotation) string { return strconv.Itoa(r.Stale) }},
		{title: "REENCRYPTED", cell: func(r keyRotation) string { return strconv.Itoa(r.Reencrypted) }},
		{title: "UNDECRYPTABLE", cell: func(r keyRotation) string { return strconv.Itoa(r.Undecryptable) }},
		{title: "ABANDONED", cell: func(r keyRotation) string { return strconv.Itoa(r.Abandoned) }},
		{title: "KEYS", cell: func(r keyRotation) string { return keysCell(r.Keys) }},
	},
}

func keysCell(keys []keyUse) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		place := "not given"
		if key.Position != nil {
			place = "key " + strconv.Itoa(*key.Position)
		}
		texts[i] = fmt.Sprintf("%s (%s): %d", key.KeyID, place, key.Secrets)
	}
	return orNone(strings.Join(texts, ", "))
}

func newKeyRotation(found webhook.SecretsReport, keyring *webhook.Keyring) keyRotation {
	r := keyRotation{
		Secrets: found.Total, Stale: found.Stale, Undecryptable: found.UndecryptableCount,
		Webhooks: append([]models.WebhookID{}, found.Undecryptable...), Abandoned: found.Abandoned, Keys: []keyUse{},
	}
	others := maps.Clone(found.ByKey)
	for i, id := range keyring.KeyIDs() {
		position := i + 1
		r.Keys = append(r.Keys, keyUse{KeyID: id, Position: &position, Secrets: found.ByKey[id]})
		delete(others, id)
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		r.Keys = append(r.Keys, keyUse{KeyID: id, Secrets: others[id]})
	}
	return r
}

func newSecurity(s *session) *cobra.Command {
	return newGroup("security", "Look after the encryption of stored secrets",
		"Look after the encryption of stored secrets: the signing secrets of webhook endpoints.",
		newRotateEncryptionKey(s))
}

func newRotateEncryptionKey(s *session) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "rotate-encryption-key", Short: "Encrypt every stored secret with the first encryption key",
		Long: `Encrypt every stored secret with the first key of security.encryption_keys. It
works beside running services, in small steps, and can be cut off and run again.

To retire a key without missing a delivery:

  1. give every API and dispatcher the new key as the last of the list
  2. give every API and dispatcher the new key as the first of the list
  3. run this, with the same list
  4. take the old key out of every list

The exit code is 1 when a secret cannot be decrypted with any key of the list;
its endpoint is named, and the others are encrypted anew all the same.`,
		Example: `  txnctl security rotate-encryption-key --dry-run
  txnctl security rotate-encryption-key --yes`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			keyring, err := s.keyring()
			if err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				return s.rotateEncryptionKey(cmd.Context(), db, keyring, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count the secrets of each key, and change nothing")
	return cmd
}

// keyring reads the encryption keys of the services.
func (s *session) keyring() (*webhook.Keyring, error) {
	settings, err := s.config()
	if err != nil {
		return nil, err
	}
	keys, err := settings.Security.Keys()
	if err == nil && len(keys) == 0 {
		err = config.ErrNoEncryptionKeys
	}
	if err != nil {
		return nil, usagef("%v", err)
	}
	return webhook.NewKeyring(keys)
}

func (s *session) rotateEncryptionKey(ctx context.Context, db *database.DB, keyring *webhook.Keyring, dryRun bool) error {
	before, err := webhook.CheckSecrets(ctx, db, keyring)
	if err != nil {
		return err
	}
	if dryRun || before.Stale == 0 {
		result := newKeyRotation(before, keyring)
		result.DryRun = dryRun
		return s.reportKeyRotation(result)
	}
	first := keyring.KeyIDs()[0]
	err = s.confirm("Secrets to encrypt with key %s, which every API and dispatcher must have by now: %d. Go ahead?", first, before.Stale)
	if err != nil {
		return err
	}
	log := func(action audit.Action, before, after any) error {
		return db.InTx(ctx, func(tx *gorm.DB) error {
			return audit.Append(ctx, tx, audit.Change{Actor: s.operator(), Action: action, Target: first, Before: before, After: after})
		})
	}
	// The steps are transactions of their own: the log tells when they may have
	// begun, and, once they are done, what came of them.
	if err := log(audit.ReencryptionStarted, before.ByKey, nil); err != nil {
		return err
	}
	bar := s.newProgress("secrets", int64(before.Total))
	done, err := webhook.Reencrypt(ctx, db, keyring, func(pass, seen int) {
		if pass == 1 {
			bar.at(int64(seen), int64(before.Total))
		}
	})
	bar.end()
	if err != nil {
		return err
	}
	after, err := webhook.CheckSecrets(ctx, db, keyring)
	if err != nil {
		return err
	}
	if err := log(audit.Reencrypted, before.ByKey, after.ByKey); err != nil {
		return err
	}
	result := newKeyRotation(after, keyring)
	result.Reencrypted = done.Reencrypted
	return s.reportKeyRotation(result)
}

// reportKeyRotation shows a result and says what follows from it.
func (s *session) reportKeyRotation(result keyRotation) error {
	if err := printOne(s, keyRotationView, result); err != nil {
		return err
	}
	if result.Abandoned > 0 {
		s.note("Secrets that cannot be decrypted and are not needed, of deleted endpoints or after their grace period: %d.", result.Abandoned)
	}
	for _, id := range result.Webhooks {
		s.note("webhook %s: a secret is encrypted with a key that is not in security.encryption_keys", id)
	}
	switch {
	case result.Undecryptable > 0:
		return fmt.Errorf("secrets that no given key decrypts: %d; add the missing key to security.encryption_keys, "+
			"remove none, and run this again", result.Undecryptable)
	case result.DryRun:
		return nil
	case result.Stale > 0:
		return fmt.Errorf("secrets written with another key meanwhile: %d; give every API the same security.encryption_keys, "+
			"the new key first, and run this again", result.Stale)
	}
	s.note("Every secret has the first key. The others may be removed from security.encryption_keys, " +
		"once every API and dispatcher has the first one.")
	return nil
}
