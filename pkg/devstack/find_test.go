package devstack

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// install puts programs that report a version into a new directory.
func install(t *testing.T, report string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		script := "#!/bin/sh\necho '" + report + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestFindPostgres(t *testing.T) {
	binDir, err := FindPostgres()
	require.NoError(t, err)
	require.GreaterOrEqual(t, postgresMajor(binDir), oldestPostgres)

	old := install(t, "postgres (PostgreSQL) 13.9", "initdb", "postgres")
	incomplete := install(t, "postgres (PostgreSQL) 16.1", "postgres")
	garbled := install(t, "no database", "initdb", "postgres")
	good := install(t, "postgres (PostgreSQL) 16.1 (Debian 16.1-1)", "initdb", "postgres")
	beta := install(t, "postgres (PostgreSQL) 19beta1", "initdb", "postgres")
	t.Setenv("PATH", join(old, incomplete, garbled, "relative", good, beta))
	found, err := findPostgres(0)
	require.NoError(t, err)
	require.Equal(t, postgresInstall{binDir: good, major: 16}, found)
	found, err = findPostgres(19)
	require.NoError(t, err)
	require.Equal(t, beta, found.binDir)
	_, err = findPostgres(13)
	require.ErrorIs(t, err, ErrPostgresNotFound, "an unsupported version was found")

	asked := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(asked, "pg_config"), []byte("#!/bin/sh\necho "+good+"\n"), 0o755))
	t.Setenv("PATH", asked)
	hidePackages(t)
	binDir, err = FindPostgres()
	require.NoError(t, err)
	require.Equal(t, good, binDir, "pg_config was not asked")
}

func join(dirs ...string) string {
	var path string
	for _, dir := range dirs {
		path += dir + string(os.PathListSeparator)
	}
	return path
}

// hidePackages makes a machine where no server is installed, apart from PATH.
func hidePackages(t *testing.T) {
	t.Helper()
	postgres, redis := postgresFolders, redisFolders
	postgresFolders, redisFolders = nil, nil
	t.Cleanup(func() { postgresFolders, redisFolders = postgres, redis })
}

func TestFindPostgresPrefersTheNewestPackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	hidePackages(t)
	root := t.TempDir()
	for _, version := range []string{"9.6", "14", "15", "17"} {
		dir := filepath.Join(root, version, "bin")
		require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
		require.NoError(t, os.Rename(install(t, "postgres (PostgreSQL) "+version, "initdb", "postgres"), dir))
	}
	postgresFolders = []string{filepath.Join(root, "*", "bin")}
	binDir, err := FindPostgres()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "17", "bin"), binDir)
}

func TestNothingInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	hidePackages(t)

	_, err := FindPostgres()
	require.ErrorIs(t, err, ErrPostgresNotFound)
	require.ErrorContains(t, err, "apt-get install postgresql")
	require.ErrorContains(t, err, "brew install postgresql@16")
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: t.TempDir()})
	require.ErrorIs(t, err, ErrPostgresNotFound)
	_, err = StartPostgres(t.Context(), PostgresOptions{})
	require.ErrorIs(t, err, ErrPostgresNotFound)

	_, err = FindRedis()
	require.ErrorIs(t, err, ErrRedisNotFound)
	require.ErrorContains(t, err, "apt-get install redis-server")
	_, err = StartRedis(t.Context(), RedisOptions{})
	require.ErrorIs(t, err, ErrRedisNotFound)

	// There is no package manager on this PATH.
	err = Install(t.Context(), SoftwarePostgres, io.Discard)
	require.ErrorIs(t, err, ErrCannotInstall)
	require.ErrorIs(t, err, ErrPostgresNotFound)
	err = Install(t.Context(), SoftwareRedis, io.Discard)
	require.ErrorIs(t, err, ErrCannotInstall)
	require.ErrorIs(t, err, ErrRedisNotFound)
}

func TestInstallLeavesWhatIsThereAlone(t *testing.T) {
	t.Parallel()
	require.NoError(t, Install(t.Context(), SoftwarePostgres, failingWriter{}))
	require.NoError(t, Install(t.Context(), SoftwareRedis, failingWriter{}))
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { panic("nothing is to be said") }
