package devstack

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestPostgresTemporary(t *testing.T) {
	t.Parallel()
	postgres, err := StartPostgres(t.Context(), PostgresOptions{Settings: map[string]string{"work_mem": "7MB"}})
	require.NoError(t, err)
	pid, dir := postgres.PID(), postgres.dir
	require.True(t, alive(pid))

	address := postgres.URL("postgres")
	require.Equal(t, "off", query(t, address, "SHOW fsync"))
	require.Equal(t, "on", query(t, address, "SHOW synchronous_commit"))
	require.Equal(t, "on", query(t, address, "SHOW autovacuum"))
	require.Equal(t, "7MB", query(t, address, "SHOW work_mem"))
	require.Equal(t, "127.0.0.1", query(t, address, "SHOW listen_addresses"))
	require.Empty(t, query(t, address, "SHOW unix_socket_directories"))
	require.Equal(t, "UTF8", query(t, address, "SHOW server_encoding"))

	require.NoError(t, postgres.Close(context.Background()))
	require.NoError(t, postgres.Close(context.Background()), "a second Close does nothing")
	require.False(t, alive(pid))
	require.NoDirExists(t, dir)
	require.Zero(t, postgres.PID())
}

func TestPostgresAsksForThePassword(t *testing.T) {
	t.Parallel()
	postgres := startPostgres(t, PostgresOptions{})
	address, err := url.Parse(postgres.URL("postgres"))
	require.NoError(t, err)
	address.User = url.UserPassword(superuser, "guess")
	_, err = pgx.Connect(t.Context(), address.String())
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28P01", refused.Code)
}

func TestPostgresRestartKeepsPortAndData(t *testing.T) {
	t.Parallel()
	postgres := startPostgres(t, PostgresOptions{})
	address := postgres.URL("postgres")
	query(t, address, "CREATE TABLE kept AS SELECT 'kept'::text AS word")

	stops := map[string]func() error{
		"fast":      func() error { return postgres.Stop(context.Background()) },
		"immediate": func() error { return postgres.StopImmediate(context.Background()) },
		"killed": func() error {
			done := postgres.Done()
			err := syscall.Kill(postgres.PID(), syscall.SIGKILL)
			<-done
			return err
		},
	}
	for name, stop := range stops {
		pid := postgres.PID()
		require.NoError(t, stop(), name)
		require.False(t, alive(pid), name)
		require.Zero(t, postgres.PID(), name)
		require.NoError(t, postgres.Start(t.Context()), name)
		require.Equal(t, address, postgres.URL("postgres"), name)
		require.Equal(t, "kept", query(t, address, "SELECT word FROM kept"), name)
		require.NotEqual(t, pid, postgres.PID(), name)
	}
	pid := postgres.PID()
	require.NoError(t, postgres.Start(t.Context()), "a second Start does nothing")
	require.Equal(t, pid, postgres.PID())
}

func TestPostgresDurableSurvivesItsProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "dev", "data")
	first := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	address := first.URL("postgres")
	require.Equal(t, "on", query(t, address, "SHOW fsync"))
	query(t, address, "CREATE TABLE kept AS SELECT 'kept'::text AS word")
	require.NoError(t, first.Stop(context.Background()))

	second := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.Equal(t, address, second.URL("postgres"), "the connection string has changed")
	require.Equal(t, "kept", query(t, address, "SELECT word FROM kept"))
	for _, name := range []string{stateFile, lockFile, logFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	require.ErrorIs(t, RemovePostgres(t.Context(), dir), ErrInUse)
	require.NoError(t, second.Stop(context.Background()))
	require.NoError(t, RemovePostgres(t.Context(), dir))
	require.NoDirExists(t, second.cluster.pgdata())

	third := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.Empty(t, query(t, third.URL("postgres"), "SELECT relname::text FROM pg_class WHERE relname = 'kept'"))
}

func TestPostgresRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	running := startRole(t, roleDurable, dir)
	_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, dir)
	require.True(t, alive(running.PIDs[0]), "the refused start has stopped the running server")

	running.kill(t)
	startPostgres(t, PostgresOptions{DataDir: dir})
}

func TestPostgresTakenPort(t *testing.T) {
	t.Parallel()
	port, err := FreePort()
	require.NoError(t, err)
	taken, err := net.Listen("tcp4", loopback(port))
	require.NoError(t, err)
	defer taken.Close()

	dir := openDir(t)
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir, Port: port})
	require.ErrorIs(t, err, ErrPortTaken)

	// The port of the last start is a wish, no more.
	require.NoError(t, changeState(dir, func(s *clusterState) { s.Port = port }))
	postgres := startPostgres(t, PostgresOptions{DataDir: dir})
	require.NotEqual(t, port, postgres.Port())

	// A restart needs its port and waits a moment for it.
	require.NoError(t, postgres.Stop(context.Background()))
	squatter, err := net.Listen("tcp4", loopback(postgres.Port()))
	require.NoError(t, err)
	time.AfterFunc(2*retryPause, func() { squatter.Close() })
	require.NoError(t, postgres.Start(t.Context()))
}

func changeState(dir string, change func(*clusterState)) error {
	state, err := loadState(dir)
	change(&state)
	return errors.Join(err, state.save(dir))
}

func TestPostgresThatDoesNotStart(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	_, err := StartPostgres(t.Context(), PostgresOptions{
		DataDir: dir, Settings: map[string]string{"shared_buffers": "nonsense"},
	})
	require.ErrorContains(t, err, `invalid value for parameter "shared_buffers": "nonsense"`)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = StartPostgres(ctx, PostgresOptions{DataDir: dir})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, readPostmaster(filepath.Join(dir, "pgdata")).pid, "a server is left")

	startPostgres(t, PostgresOptions{DataDir: dir}) // nothing of it is in the way
}

func TestPostgresNobodyRefersTo(t *testing.T) {
	t.Parallel()
	address, pid, done := func() (string, int, <-chan struct{}) {
		postgres, err := StartPostgres(t.Context(), PostgresOptions{})
		require.NoError(t, err)
		return postgres.URL("postgres"), postgres.PID(), postgres.Done()
	}()
	for range 3 { // finalizers need a round of their own
		runtime.GC()
	}
	require.Equal(t, "1", query(t, address, "SELECT '1'::text"), "the garbage collector has stopped the server")
	require.NoError(t, syscall.Kill(pid, syscall.SIGQUIT))
	<-done
}

func TestPostgresOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	postgres := startPostgres(t, PostgresOptions{DataDir: dir})
	require.NoError(t, postgres.Stop(context.Background()))
	version := filepath.Join(postgres.cluster.pgdata(), "PG_VERSION")
	content, err := os.ReadFile(version)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(version, []byte("9\n"), 0o600))
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorIs(t, err, ErrPostgresNotFound)
	require.ErrorContains(t, err, "made by PostgreSQL 9")
	require.NoError(t, os.WriteFile(version, content, 0o600))
}

func TestPostgresLostState(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	postgres := startPostgres(t, PostgresOptions{DataDir: dir})
	require.NoError(t, postgres.Stop(context.Background()))
	state, err := os.ReadFile(filepath.Join(dir, stateFile))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, stateFile)))
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorContains(t, err, stateFile)
	require.DirExists(t, postgres.cluster.pgdata(), "data were dropped that nobody gave up")
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), state, 0o600))
}

func TestPostgresLogsWhatItDoes(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	postgres := startPostgres(t, PostgresOptions{Log: &log})
	require.Contains(t, log.String(), loopback(postgres.Port()))
	password, _ := url.Parse(postgres.URL(""))
	secret, _ := password.User.Password()
	require.NotContains(t, log.String(), secret)
}
