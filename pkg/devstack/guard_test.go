package devstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKilledProcessLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	running := startRole(t, roleServers, "")
	require.Len(t, running.PIDs, 2)
	for _, pid := range running.PIDs {
		require.True(t, alive(pid))
	}
	running.kill(t)
	requireGone(t, running.PIDs...)
	requireRemoved(t, running.Dirs...)
}

func TestForgetfulProcessLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	running := startRole(t, roleServers, "")
	require.NoError(t, running.in.Close())
	require.NoError(t, running.cmd.Wait())
	requireGone(t, running.PIDs...)
	requireRemoved(t, running.Dirs...)
}

func TestKilledProcessShutsADurableClusterDownInOrder(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	running := startRole(t, roleDurable, dir)
	query(t, running.URL, "CREATE TABLE kept AS SELECT 'kept'::text AS word")
	running.kill(t)

	// The lock is free at once, the server may still be on its way down.
	postgres := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.False(t, alive(running.PIDs[0]))
	require.Equal(t, "kept", query(t, postgres.URL("postgres"), "SELECT word FROM kept"))
	log, err := os.ReadFile(filepath.Join(dir, logFile))
	require.NoError(t, err)
	require.Contains(t, string(log), "database system is shut down")
	require.NotContains(t, string(log), "not properly shut down")
}

// The guard does its work without the parent-death signal, which not every system has.
func TestGuardAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	doomed := filepath.Join(dir, "with a space; and 'quotes'")
	require.NoError(t, os.MkdirAll(filepath.Join(doomed, "deep"), 0o700))
	running := startRole(t, roleSleeper, doomed)
	require.True(t, alive(running.PIDs[0]))
	running.kill(t)
	requireGone(t, running.PIDs...)
	requireRemoved(t, doomed)
	require.DirExists(t, dir)
}

func TestGuardLeavesAStoppedServersProcessIDAlone(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "300")
	require.NoError(t, bystander.Start())
	defer func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	}()
	watch, err := startGuard(syscall.SIGKILL, "")
	require.NoError(t, err)
	require.NoError(t, watch.watch(bystander.Process.Pid))
	require.NoError(t, watch.watch(0))
	require.NoError(t, watch.close())
	require.True(t, alive(bystander.Process.Pid))
}

func TestStoppedServerIsNoLongerWatched(t *testing.T) {
	t.Parallel()
	postgres := startPostgres(t, PostgresOptions{})
	require.Equal(t, postgres.PID(), postgres.guard.watched)
	require.NoError(t, postgres.Stop(t.Context()))
	require.Zero(t, postgres.guard.watched)
	require.NoError(t, postgres.Start(t.Context()))
	require.Equal(t, postgres.PID(), postgres.guard.watched)
}
