package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// TestHealthcheckAsksTheRunningProcess: a container engine runs the same binary
// with the same environment beside the service.
func TestHealthcheckAsksTheRunningProcess(t *testing.T) {
	t.Parallel()
	admin, stop, _ := start(t, settings(dbtest.New(t).URL))
	ask := func(path string) error {
		return program(t, []string{"TXN_DISPATCHER_ADMIN_LISTEN=" + strings.TrimPrefix(admin, "http://")}, "--healthcheck", path).Run()
	}
	require.NoError(t, ask("/livez"))
	require.NoError(t, ask("/readyz"))
	require.NoError(t, stop())
	var exit *exec.ExitError
	require.ErrorAs(t, ask("/livez"), &exit)
	require.Equal(t, exitFailed, exit.ExitCode())
}
