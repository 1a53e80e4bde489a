package dev

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := loadState(dir)
	require.NoError(t, err)
	key, err := base64.StdEncoding.DecodeString(first.EncryptionKey)
	require.NoError(t, err)
	require.Len(t, key, 32)
	first.BusinessID, first.APIKey = models.NewID[models.BusinessPrefix](), "txn_x"
	first.Accounts = []string{"a", "b"}
	require.NoError(t, first.save())

	second, err := loadState(dir)
	require.NoError(t, err)
	require.Equal(t, first, second)
	info, err := os.Stat(filepath.Join(dir, stateName))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	second.forgetTenant()
	require.Equal(t, first.EncryptionKey, second.EncryptionKey)
	require.Empty(t, second.APIKey)

	require.NoError(t, removeState(dir))
	require.NoError(t, removeState(dir), "there is nothing left to remove")
	third, err := loadState(dir)
	require.NoError(t, err)
	require.NotEqual(t, first.EncryptionKey, third.EncryptionKey)
}

func TestDamagedStateSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateName), []byte("{"), 0o600))
	_, err := loadState(dir)
	require.ErrorContains(t, err, "--reset")
}
