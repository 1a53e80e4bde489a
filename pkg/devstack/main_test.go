package devstack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// A test that needs a process to die runs this binary again in one of these roles.
const (
	roleVariable = "DEVSTACK_TEST_ROLE"
	roleServers  = "servers" // starts a PostgreSQL and a Redis in temporary directories
	roleDurable  = "durable" // starts a durable PostgreSQL in dirVariable
	roleSleeper  = "sleeper" // starts a program that only the guard ends
	dirVariable  = "DEVSTACK_TEST_DIR"
)

// patience is for what must happen at all; nothing here is slow.
const (
	patience = 20 * time.Second
	tick     = 20 * time.Millisecond
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		// Ends like a program that forgets what it started.
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// cast is what a role reports about itself, on one line.
type cast struct {
	PIDs []int
	Dirs []string
	URL  string
}

func play(role string) error {
	var report cast
	ctx := context.Background()
	switch role {
	case roleServers:
		postgres, err := StartPostgres(ctx, PostgresOptions{})
		if err != nil {
			return err
		}
		redis, err := StartRedis(ctx, RedisOptions{})
		if err != nil {
			return err
		}
		report.PIDs = []int{postgres.PID(), redis.PID()}
		report.Dirs = []string{postgres.dir, redis.dir}
	case roleDurable:
		postgres, err := StartPostgres(ctx, PostgresOptions{DataDir: os.Getenv(dirVariable), Durable: true})
		if err != nil {
			return err
		}
		report.PIDs = []int{postgres.PID()}
		report.URL = postgres.URL("postgres")
	case roleSleeper:
		sleeper := exec.Command("sleep", "300")
		if err := sleeper.Start(); err != nil {
			return err
		}
		watch, err := startGuard(syscall.SIGTERM, os.Getenv(dirVariable))
		if err == nil {
			err = watch.watch(sleeper.Process.Pid)
		}
		if err != nil {
			return err
		}
		report.PIDs = []int{sleeper.Process.Pid}
		defer runtime.KeepAlive(watch)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin) // until told to end
	return err
}

// actor is a process in a role.
type actor struct {
	cast
	cmd *exec.Cmd
	in  io.Closer
}

func startRole(t *testing.T, role, dir string) *actor {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	a := &actor{cmd: cmd, in: in}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.NoError(t, json.NewDecoder(out).Decode(&a.cast), "role %s did not start", role)
	return a
}

// kill ends the process without giving it a chance.
func (a *actor) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, a.cmd.Process.Kill())
	_ = a.cmd.Wait()
}

func startPostgres(t *testing.T, opts PostgresOptions) *Postgres {
	t.Helper()
	postgres, err := StartPostgres(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, postgres.Close(context.Background()))
		if opts.DataDir != "" {
			require.NoError(t, RemovePostgres(context.Background(), opts.DataDir))
		}
	})
	return postgres
}

// query runs one statement on a new connection and returns its one value, "" if it has none.
func query(t *testing.T, address, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// alive reports whether the process exists and has not ended.
func alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil && commandLine(pid) != ""
}

func requireGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return !alive(pid) }, patience, tick, "process %d lives on", pid)
	}
}

func requireRemoved(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		require.Eventually(t, func() bool {
			_, err := os.Lstat(dir)
			return os.IsNotExist(err)
		}, patience, tick, "%s is left", dir)
	}
}

// openDir makes a directory that everyone can reach, unlike t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "txn-devstack-test-"+strconv.Itoa(os.Getpid())+"-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	return dir
}
