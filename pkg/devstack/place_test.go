package devstack

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("is about what happens to root")
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

// What `txnctl dev --data-dir "$(mktemp -d)"` does as root.
func TestRootOpensADirectoryMadeForIt(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	dir := openDir(t)
	require.Equal(t, fs.FileMode(0o700), mode(t, dir))
	postgres := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.Equal(t, dir, postgres.cluster.state.Location)
	require.Equal(t, fs.FileMode(0o711), mode(t, dir))
	require.Equal(t, fs.FileMode(0o700), mode(t, postgres.cluster.pgdata()))
}

func TestRootDoesNotOpenADirectoryOfOthers(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	dir := openDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "diary.txt"), nil, 0o644))
	postgres := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.NotEqual(t, dir, postgres.cluster.state.Location)
	require.Equal(t, fs.FileMode(0o700), mode(t, dir))
}

// What it does below /root.
func TestRootBelowAClosedDirectory(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	closed := openDir(t)
	dir := filepath.Join(closed, ".cache", "txn")
	first := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	location := first.cluster.state.Location
	require.False(t, strings.HasPrefix(location, closed), location)
	require.Equal(t, fs.FileMode(0o700), mode(t, closed), "the permissions of a parent were changed")
	origin, err := os.ReadFile(filepath.Join(location, "data-dir"))
	require.NoError(t, err)
	require.Equal(t, dir+"\n", string(origin))
	query(t, first.URL("postgres"), "CREATE TABLE kept AS SELECT 'kept'::text AS word")
	require.NoError(t, first.Stop(context.Background()))

	second := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.Equal(t, location, second.cluster.state.Location)
	require.Equal(t, "kept", query(t, second.URL("postgres"), "SELECT word FROM kept"))
	require.NoError(t, second.Stop(context.Background()))

	// Whoever deletes the data directory starts over.
	require.NoError(t, os.RemoveAll(dir))
	third := startPostgres(t, PostgresOptions{DataDir: dir, Durable: true})
	require.Empty(t, query(t, third.URL("postgres"), "SELECT relname::text FROM pg_class WHERE relname = 'kept'"))
	require.NoError(t, third.Stop(context.Background()))

	require.NoError(t, RemovePostgres(t.Context(), dir))
	require.NoDirExists(t, location)
	require.NoError(t, RemovePostgres(t.Context(), dir), "a second removal does nothing")
}

func TestOutsideDirRefusesWhatOthersPlanted(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	parent := openDir(t)
	planted := filepath.Join(parent, "home")
	require.NoError(t, os.Symlink(t.TempDir(), planted))
	_, err := outsideDir(planted, "/data")
	require.ErrorContains(t, err, planted)

	foreign := filepath.Join(parent, "foreign")
	require.NoError(t, os.Mkdir(foreign, 0o755))
	require.NoError(t, os.Chown(foreign, 65534, 65534))
	_, err = outsideDir(foreign, "/data")
	require.ErrorContains(t, err, foreign)
}

// TestOrdinaryUser runs the tests of the servers again as a user without rights.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)

	home := openDir(t)
	require.NoError(t, os.Chmod(home, 0o755))
	binary, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	program := filepath.Join(home, "devstack.test")
	require.NoError(t, os.WriteFile(program, binary, 0o755)) // Go builds it in a directory of root's
	work := filepath.Join(home, "work")
	require.NoError(t, os.Mkdir(work, 0o700))
	require.NoError(t, os.Chown(work, int(uid), int(gid)))

	cmd := exec.CommandContext(t.Context(), program, "-test.v",
		"-test.run=^(TestPostgresTemporary|TestPostgresRestart.*|TestPostgresDurable.*|TestPostgresRefuses.*|TestRedis.*|"+
			"TestKilledProcess.*|TestLeftover.*|TestStranger.*)$")
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "TMPDIR=" + work}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestPostgresTemporary")
	require.Contains(t, string(out), "--- PASS: TestRedis")
	require.NotContains(t, string(out), "--- SKIP")
	entries, err := os.ReadDir(work)
	require.NoError(t, err)
	for _, entry := range entries { // the guards may need a moment longer than the tests
		requireRemoved(t, filepath.Join(work, entry.Name()))
	}
}
