package devstack

import (
	"context"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stubborn starts a shell that carries out the trap commands given and then waits, half a minute if nobody ends it.
func stubborn(t *testing.T, traps string) *process {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	cmd := exec.Command("sh", "-c", traps+"; : >"+ready+"; for i in $(seq 3000); do sleep 0.01; done")
	started, err := startProcess(cmd, nil, syscall.SIGKILL)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return fileExists(ready) }, patience, tick)
	return started
}

func fileExists(path string) bool {
	matches, err := filepath.Glob(path)
	return err == nil && len(matches) == 1
}

func TestProcessStop(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		traps   string
		stopped error
	}{
		"ends when asked":              {traps: "trap 'exit 0' INT"},
		"ends with the second signal":  {traps: "trap '' INT; trap 'exit 0' QUIT", stopped: context.DeadlineExceeded},
		"has ended before it is asked": {traps: "exit 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p *process
			if test.traps == "exit 0" {
				var err error
				p, err = startProcess(exec.Command("true"), nil, syscall.SIGKILL)
				require.NoError(t, err)
				<-p.done
			} else {
				p = stubborn(t, test.traps)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, p.stop(ctx, syscall.SIGINT, syscall.SIGQUIT), test.stopped)
			require.True(t, p.exited())
		})
	}
}

func TestProcessStopKills(t *testing.T) {
	t.Parallel()
	p := stubborn(t, "trap '' TERM")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.stop(ctx, syscall.SIGTERM), context.DeadlineExceeded)
	require.False(t, alive(p.pid()))
}

func TestProcessIsOutOfReachOfTheTerminal(t *testing.T) {
	t.Parallel()
	p, err := startProcess(exec.Command("sleep", "300"), nil, syscall.SIGKILL)
	require.NoError(t, err)
	group, err := syscall.Getpgid(p.pid())
	require.NoError(t, err)
	require.Equal(t, p.pid(), group)
	require.NoError(t, p.stop(t.Context(), syscall.SIGTERM))
}
