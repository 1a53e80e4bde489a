package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// TestHealthcheckAsksTheRunningProcess: a container engine runs the same binary
// with the same environment beside the service.
func TestHealthcheckAsksTheRunningProcess(t *testing.T) {
	t.Parallel()
	a := start(t, settings(dbtest.New(t).URL))
	ask := func(path string) ([]byte, error) {
		return program(t, []string{"TXN_API_LISTEN=" + a.api}, "--healthcheck", path).Output()
	}
	for _, path := range []string{"/livez", "/readyz"} {
		out, err := ask(path)
		require.NoError(t, err)
		require.Empty(t, out)
	}
	a.stop()
	require.NoError(t, a.wait(t))
	_, err := ask("/livez")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitFailed, exit.ExitCode())
	require.Contains(t, string(exit.Stderr), "api: healthcheck: ")
}
