package dev

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAShellReadsTheEnvironment, whatever is in it, and nobody else can.
func TestAShellReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), `it's a "folder" of $HOME`)
	require.NoError(t, os.Mkdir(dir, 0o700))
	d := &stack{
		Options: Options{DataDir: dir}, listen: "127.0.0.1:8080", databaseURL: `postgres://txn:it's $(false) \n@127.0.0.1/txn`,
		state: &state{APIKey: "txn_key", Accounts: []string{"acct_a", "acct_b"}, EncryptionKey: "a+b/c="},
	}
	require.NoError(t, d.saveEnvironment())
	out, err := exec.CommandContext(t.Context(), "sh", "-euc", ". "+quote(d.environmentFile())+
		`; printf '%s|' "$API" "$KEY" "$ALICE" "$BOB" "$TXN_DATABASE_URL" "$TXN_SECURITY_ENCRYPTION_KEYS"`).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, `http://127.0.0.1:8080|txn_key|acct_a|acct_b|postgres://txn:it's $(false) \n@127.0.0.1/txn|a+b/c=|`, string(out))
	info, err := os.Stat(d.environmentFile())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
