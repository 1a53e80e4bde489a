package apikey

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func TestGeneratedKeysAreWellFormed(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`^\btxn_[0-9A-Za-z]{38}\b$`)
	seen, symbols := map[string]bool{}, map[rune]bool{}
	for range 2000 {
		key := generate()
		require.Regexp(t, pattern, key)
		require.True(t, wellFormed(key))
		require.False(t, seen[key])
		seen[key] = true
		for _, r := range key[len(keyPrefix):bodyLength] {
			symbols[r] = true
		}
	}
	require.Len(t, symbols, 62, "every symbol turns up")
}

func TestChecksumIsFixed(t *testing.T) {
	t.Parallel()
	// The format is a contract with secret scanners and with keys in the field.
	body := "txn_" + strings.Repeat("0", randomLength)
	sum := checksum([]byte(body))
	require.Equal(t, "3Zy6hu", string(sum[:]))
	require.True(t, wellFormed(body+"3Zy6hu"))
}

func TestDamagedKeysAreRefusedWithoutLookup(t *testing.T) {
	t.Parallel()
	key := generate()
	require.True(t, wellFormed(key))
	for i := range key {
		for _, c := range []byte{'0', 'z', '_', ' ', 0, 0xff} {
			if damaged := key[:i] + string([]byte{c}) + key[i+1:]; damaged != key {
				require.False(t, wellFormed(damaged), "byte %d", i)
			}
		}
	}
	for _, text := range []string{
		"", "txn_", key[:len(key)-1], key + "0", " " + key, key + "\n", strings.ToUpper(key),
		strings.Replace(key, "txn_", "sk__", 1), models.NewID[models.TransactionPrefix]().String(),
	} {
		require.False(t, wellFormed(text), "%q", text)
	}
}

func TestParseScopes(t *testing.T) {
	t.Parallel()
	scopes, err := ParseScopes(nil)
	require.NoError(t, err)
	require.Equal(t, DefaultScopes(), scopes)
	require.NotContains(t, scopes, KeysManage)

	scopes, err = ParseScopes([]string{"keys:manage", "accounts:read", "keys:manage"})
	require.NoError(t, err)
	require.Equal(t, []Scope{AccountsRead, KeysManage}, scopes)

	for _, bad := range []string{"accounts:*", "Accounts:Read", "", " accounts:read"} {
		_, err = ParseScopes([]string{"accounts:read", bad})
		require.Equal(t, errs.ValidationFailed, errs.CodeOf(err))
		require.Equal(t, "scopes", errs.As(err).Fields[0].Field)
		require.Contains(t, err.Error(), `"`+bad+`"`)
	}
}

func BenchmarkWellFormedAndHash(b *testing.B) {
	key := generate()
	b.ReportAllocs()
	for b.Loop() {
		if !wellFormed(key) {
			b.Fatal("refused")
		}
		_ = hashOf(key)
	}
}
