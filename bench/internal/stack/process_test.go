package stack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParsePeak(t *testing.T) {
	t.Parallel()
	require.Equal(t, int64(36352<<10), parsePeak([]byte("Name:\tapi\nVmPeak:\t 1 kB\nVmHWM:\t   36352 kB\nVmRSS:\t 2 kB\n")))
	require.Zero(t, parsePeak([]byte("Name:\tapi\n")))
	require.Zero(t, parsePeak([]byte("VmHWM:\tmuch\n")))
	if runtime.GOOS == "linux" {
		require.Greater(t, peakMemory(os.Getpid()), int64(1<<20))
	}
}

func TestResetPeak(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	p := startShell(t, "x=$(head -c 50000000 /dev/zero | tr '\\0' a)\nx=\necho ready\ntrap 'exit 0' TERM\nwhile :; do sleep 0.01; done\n")
	pid := p.cmd.Process.Pid
	before := peakMemory(pid)
	require.Greater(t, before, int64(40<<20))
	resetPeak(pid)
	require.Less(t, peakMemory(pid), before)
	require.NoError(t, p.stop(t.Context()))
}

// startShell starts a process that says when it is ready for signals.
func startShell(t *testing.T, script string) *process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	log, err := os.Create(path + ".log")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	p, err := startProcess(path, os.Environ(), log)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		said, err := os.ReadFile(log.Name())
		return err == nil && string(said) == "ready\n"
	}, 10*time.Second, 5*time.Millisecond)
	return p
}

func TestProcessStops(t *testing.T) {
	t.Parallel()
	p := startShell(t, "trap 'exit 0' TERM\necho ready\nwhile :; do sleep 0.01; done\n")
	require.False(t, p.ended())
	require.NoError(t, p.stop(t.Context()))
	require.True(t, p.ended())
	require.NoError(t, p.stop(t.Context()), "again")
}

func TestProcessTellsAFailure(t *testing.T) {
	t.Parallel()
	p := startShell(t, "trap 'exit 3' TERM\necho ready\nwhile :; do sleep 0.01; done\n")
	var failed *exec.ExitError
	require.ErrorAs(t, p.stop(t.Context()), &failed)
	require.Equal(t, 3, failed.ExitCode())
}

func TestProcessIsKilledInTheEnd(t *testing.T) {
	t.Parallel()
	p := startShell(t, "trap '' TERM\necho ready\nwhile :; do sleep 0.01; done\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, p.stop(ctx), "had to be killed")
	require.True(t, p.ended())
}

func TestStartProcessFails(t *testing.T) {
	t.Parallel()
	p, err := startProcess(filepath.Join(t.TempDir(), "missing"), nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.True(t, p.ended())
}
