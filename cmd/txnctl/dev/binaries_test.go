package dev

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModuleRoot(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	require.NoError(t, err)
	root := moduleRoot(here)
	require.Equal(t, filepath.Join(root, "cmd", "txnctl", "dev"), here)

	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n"), 0o600))
	require.Empty(t, moduleRoot(other))
}

func TestHoldsServices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range services {
		require.False(t, holdsServices(dir))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o700))
	}
	require.True(t, holdsServices(dir))
	require.NoError(t, os.Chmod(filepath.Join(dir, services[0]), 0o600))
	require.False(t, holdsServices(dir), "not executable")
}
