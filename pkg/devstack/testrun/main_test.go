package main

import (
	"bufio"
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	mainVariable = "TESTRUN_TEST_MAIN" // makes this test binary the program
	patience     = 20 * time.Second
	tick         = 20 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command prepares a run of the program without the servers of the run that this test belongs to.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TXN_TEST_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(append(cmd.Env, mainVariable+"=1"), env...)
	return cmd
}

func reachable(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if strings.HasPrefix(address, "redis:") {
		options, err := redis.ParseURL(address)
		if err != nil {
			return false
		}
		client := redis.NewClient(options)
		defer client.Close()
		return client.Ping(ctx).Err() == nil
	}
	conn, err := pgx.Connect(ctx, address)
	return err == nil && conn.Close(ctx) == nil
}

const showServers = `echo "$TXN_TEST_DATABASE_URL"; echo "$TXN_TEST_REDIS_URL"; `

// background starts the program with a shell script as its command and returns the two addresses that the script shows.
func background(t *testing.T, temp, script string) (cmd *exec.Cmd, addresses []string) {
	t.Helper()
	cmd = command(t, []string{"TMPDIR=" + temp}, "--", "sh", "-c", showServers+script)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for range 2 {
		require.True(t, lines.Scan(), "the command did not start")
		addresses = append(addresses, lines.Text())
	}
	return cmd, addresses
}

// tempDir makes a directory that every user can reach, unlike t.TempDir.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "txn-testrun-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o711))
	return dir
}

func files(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	return entries
}

func requireGone(t *testing.T, addresses []string) {
	t.Helper()
	for _, address := range addresses {
		require.Eventually(t, func() bool { return !reachable(address) }, patience, tick)
	}
}

func TestServersLiveAsLongAsTheCommand(t *testing.T) {
	t.Parallel()
	temp := tempDir(t)
	cmd, addresses := background(t, temp, "trap 'exit 3' TERM; for i in $(seq 600); do sleep 0.05; done")
	require.Len(t, files(t, temp), 3, "two servers and the transcript")
	for _, address := range addresses {
		require.True(t, reachable(address))
		parsed, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1", parsed.Hostname())
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, cmd.Wait())
	require.Equal(t, 3, cmd.ProcessState.ExitCode(), "the signal did not reach the command or its exit code not us")
	require.Empty(t, files(t, temp), "a run that ended in order leaves work to its guards")
	for _, address := range addresses {
		require.False(t, reachable(address))
	}
}

func TestKilledRunLeavesNoServers(t *testing.T) {
	t.Parallel()
	temp := tempDir(t)
	cmd, addresses := background(t, temp, "sleep 2")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	requireGone(t, addresses)
	require.Eventually(t, func() bool { return len(files(t, temp)) == 0 }, patience, tick)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	given := []string{"TXN_TEST_DATABASE_URL=postgres://given/db", "TXN_TEST_REDIS_URL=redis://given/0"}
	tests := map[string]struct {
		args []string
		want int
		out  string
	}{
		"success":               {[]string{"--", "true"}, 0, ""},
		"failure":               {[]string{"--", "sh", "-c", "exit 41"}, 41, ""},
		"without the separator": {[]string{"sh", "-c", "exit 42"}, 42, ""},
		"ended by a signal":     {[]string{"--", "sh", "-c", "kill -9 $$"}, 137, ""},
		"no such command":       {[]string{"--", "/no/such/command"}, 1, "no such file"},
		"nothing to run":        {[]string{"--"}, 2, "usage"},
		"given servers":         {[]string{"--", "sh", "-c", showServers}, 0, "postgres://given/db\nredis://given/0\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			cmd := command(t, given, test.args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run()
			require.Equal(t, test.want, cmd.ProcessState.ExitCode(), "%s", &out)
			require.Contains(t, out.String(), test.out)
		})
	}
}

func TestServersThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cmd := command(t, []string{"TMPDIR=/no/such/directory", "TXN_TEST_DATABASE_URL=postgres://given/db"}, "--", "echo", "ran")
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	require.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
	require.NotContains(t, out.String(), "ran\n")
	require.Contains(t, out.String(), "/no/such/directory")
}

// A suite that prints a secret fails, whether a test has recorded it or it has the form of one, and even if it
// succeeded otherwise; what it printed is printed once and not repeated.
func TestPrintedSecretsFailTheRun(t *testing.T) {
	t.Parallel()
	given := []string{"TXN_TEST_DATABASE_URL=postgres://given/db", "TXN_TEST_REDIS_URL=redis://given/0"}
	const record = `echo '"correct-horse-battery"' >>"$TXN_TEST_SECRETS"; `
	apiKey := "txn_" + strings.Repeat("aB3", 12) + "zz"
	for name, test := range map[string]struct {
		script, secret string
		want           int
	}{
		"none":                    {record + `echo correct-horse`, "correct-horse-battery", 0},
		"recorded":                {record + `echo "a line"; echo correct-horse-battery`, "correct-horse-battery", 1},
		"on the other stream":     {record + `echo "a line"; echo correct-horse-battery >&2`, "correct-horse-battery", 1},
		"printed before recorded": {`echo "a line"; echo correct-horse-battery; ` + record, "correct-horse-battery", 1},
		"by its form":             {`echo "a line"; echo ` + apiKey, apiKey, 1},
		"a failure stays itself":  {`echo "a line"; echo ` + apiKey + `; exit 7`, apiKey, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp := tempDir(t)
			var out bytes.Buffer
			cmd := command(t, append(given, "TMPDIR="+temp), "--", "sh", "-c", test.script)
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run()
			require.Equal(t, test.want, cmd.ProcessState.ExitCode(), "%s", &out)
			require.Equal(t, test.want != 0, strings.Contains(out.String(), "secrets were printed"), "%s", &out)
			require.LessOrEqual(t, strings.Count(out.String(), test.secret), 1)
			require.Empty(t, files(t, temp))
		})
	}
}
