package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// configFile names a database the way an operator's file does: tests run in
// parallel and cannot share an environment.
func configFile(t *testing.T, url string) string {
	t.Helper()
	return configText(t, fmt.Sprintf("database: {url: %q}\n", url))
}

func configText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "txn.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
