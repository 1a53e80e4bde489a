package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// clusterProcess runs a program as whoever runs the cluster's server.
func clusterProcess(t *testing.T, c *cluster, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = cleanEnv()
	started, err := startProcess(cmd, c.who.credential, syscall.SIGKILL)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-started.done
	})
	return started
}

func TestLeftoverServerIsStopped(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	postgres := startPostgres(t, PostgresOptions{DataDir: dir})
	require.NoError(t, postgres.Stop(context.Background()))

	command, _ := postgres.command(postgres.Port())
	leftover := clusterProcess(t, postgres.cluster, command.Path, command.Args[1:]...)
	require.Eventually(t, func() bool { return postgres.ready(leftover.pid(), postgres.Port()) }, patience, tick)

	again := startPostgres(t, PostgresOptions{DataDir: dir})
	require.True(t, leftover.exited())
	require.Equal(t, "1", query(t, again.URL("postgres"), "SELECT '1'::text"))
}

// After a crash of the machine the pid file of the cluster may name any process.
func TestStrangerInThePidFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	postgres := startPostgres(t, PostgresOptions{DataDir: dir})
	require.NoError(t, postgres.Stop(context.Background()))

	stranger := clusterProcess(t, postgres.cluster, "sleep", "300")
	pgdata := postgres.cluster.pgdata()
	content := fmt.Sprintf("%d\n%s\n1700000000\n%d\n\n127.0.0.1\n 1 1\nready   \n", stranger.pid(), pgdata, postgres.Port())
	pidFile := filepath.Join(pgdata, "postmaster.pid")
	require.NoError(t, os.WriteFile(pidFile, []byte(content), 0o600))
	require.NoError(t, postgres.cluster.who.own(pidFile))

	require.NoError(t, postgres.Start(t.Context()))
	require.False(t, stranger.exited())
	require.NotEqual(t, stranger.pid(), postgres.PID())
}

func TestReadPostmaster(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		content string
		want    postmaster
	}{
		"complete": {"12\n/x\n1\n5433\n\n127.0.0.1\n 1 1\nready   \n", postmaster{pid: 12, port: 5433, ready: true}},
		"starting": {"12\n/x\n1\n5433\n\n127.0.0.1\n 1 1\nstarting\n", postmaster{pid: 12, port: 5433}},
		"short":    {"12\n/x\n", postmaster{pid: 12}},
		"garbage":  {"\x00\n", postmaster{}},
		"empty":    {"", postmaster{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(test.content), 0o600))
			require.Equal(t, test.want, readPostmaster(dir))
		})
	}
	require.Zero(t, readPostmaster(t.TempDir()))
}
