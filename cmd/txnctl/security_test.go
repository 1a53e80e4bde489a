package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// vault is a database with endpoints whose secrets have different keys.
type vault struct {
	url string
	db  *database.DB
}

func newVault(t *testing.T) vault {
	t.Helper()
	v := vault{url: dbtest.New(t).URL}
	var err error
	v.db, err = database.Open(t.Context(), database.Options{URL: v.url})
	require.NoError(t, err)
	t.Cleanup(v.db.Close)
	return v
}

// with is a txnctl whose configuration has the keys, each made of one byte.
func (v vault) with(t *testing.T, keys ...byte) *cli {
	t.Helper()
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{key}, 32))
	}
	require.NoError(t, disclosure.Record(texts...))
	text := fmt.Sprintf("database: {url: %q}\nsecurity: {encryption_keys: [%s]}\n", v.url, `"`+strings.Join(texts, `", "`)+`"`)
	return &cli{config: configText(t, text), db: v.db}
}

// seal creates n endpoints under a key and returns the last of them.
func (v vault) seal(t *testing.T, business string, key byte, n int) string {
	t.Helper()
	owner, err := models.ParseID[models.BusinessPrefix](business)
	require.NoError(t, err)
	keyring, err := webhook.NewKeyring([][]byte{bytes.Repeat([]byte{key}, 32)})
	require.NoError(t, err)
	store := webhook.NewStore(webhook.Options{Keyring: keyring})
	var row models.Webhook
	for range n {
		require.NoError(t, v.db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
			row, _, err = store.Create(tx, owner, webhook.Fields{URL: "https://example.com/", EventTypes: []string{"*"}})
			return err
		}))
	}
	return row.ID.String()
}

func TestRotateEncryptionKey(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	c := v.with(t, 2, 1)
	business := c.business(t)
	v.seal(t, business, 1, 3)
	v.seal(t, business, 2, 1)
	command := []string{"security", "rotate-encryption-key"}

	dry := c.ok(t, append(command, "--dry-run")...)
	require.Equal(t, true, dry["dry_run"])
	require.InDelta(t, 4, dry["secrets"], 0)
	require.InDelta(t, 3, dry["stale"], 0)
	keys := dry["keys"].([]any)
	require.Len(t, keys, 2)
	for i, secrets := range []float64{1, 3} {
		require.InDelta(t, i+1, keys[i].(map[string]any)["position"], 0)
		require.InDelta(t, secrets, keys[i].(map[string]any)["secrets"], 0)
	}
	require.Equal(t, dry, c.ok(t, append(command, "--dry-run")...), "a dry run changes nothing")

	r := c.run(t, command...)
	require.Equal(t, exitUsage, r.code, "there is nobody to ask")
	require.Contains(t, r.err, "every API and dispatcher")
	require.Equal(t, exitFailed, c.converse(t, "n\n", true, command...).code)
	require.InDelta(t, 3, c.ok(t, append(command, "--dry-run")...)["stale"], 0)

	r = c.run(t, append(command, "--yes")...)
	require.Equal(t, exitDone, r.code, r.err)
	require.Regexp(t, `(?m)^REENCRYPTED\s+3$`, r.out)
	require.Contains(t, r.err, "may be removed")
	alone := v.with(t, 2).ok(t, command...)
	require.InDelta(t, 4, alone["secrets"], 0)
	require.InDelta(t, 0, alone["undecryptable"], 0)
	again := c.run(t, append(command, "--yes")...)
	require.Equal(t, exitDone, again.code)
	require.Regexp(t, `(?m)^REENCRYPTED\s+0$`, again.out)

	entries := data(t, c.ok(t, "audit", "list", "--limit", "2"))
	require.Equal(t, "encryption_key.rotated", entries[0]["action"])
	require.Equal(t, "encryption_key.rotation_started", entries[1]["action"])
	first := keys[0].(map[string]any)["key_id"].(string)
	require.Equal(t, first, entries[0]["target"])
	require.Equal(t, string(userOfMachine()), entries[0]["actor"])
	require.Equal(t, map[string]any{first: 4.}, entries[0]["after"])
	require.Len(t, data(t, c.ok(t, "audit", "list", "--target", first)), 2, "what changed nothing is not logged")
}

func TestRotateEncryptionKeyNamesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	c := v.with(t, 2, 1)
	business := c.business(t)
	v.seal(t, business, 1, 2)
	lost := v.seal(t, business, 7, 1)
	for _, flag := range []string{"--dry-run", "--yes", "--yes"} {
		r := c.run(t, "security", "rotate-encryption-key", flag)
		require.Equal(t, exitFailed, r.code, flag)
		require.Contains(t, r.err, lost)
		require.Contains(t, r.err, "secrets that no given key decrypts: ")
		require.NotContains(t, r.err, "may be removed")
		require.Contains(t, r.out, "not given")
	}
	left := v.with(t, 2, 7).ok(t, "security", "rotate-encryption-key", "--dry-run")
	require.InDelta(t, 1, left["stale"], 0, "the others were encrypted anew all the same")
	done := v.with(t, 2, 7).ok(t, "security", "rotate-encryption-key", "--yes")
	require.InDelta(t, 1, done["reencrypted"], 0)
}

func TestRotateEncryptionKeyNeedsKeys(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	r := c.run(t, "security", "rotate-encryption-key", "--yes")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "security.encryption_keys")
}
