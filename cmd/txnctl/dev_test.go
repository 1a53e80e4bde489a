package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/disclosure"
)

// startupTimeout bounds one start of everything on a machine busy with tests.
const startupTimeout = 3 * time.Minute

// builtIn is where buildBinaries put them, nil until a test needed any.
var builtIn atomic.Pointer[string]

// buildBinaries builds what `make run` builds, once per test binary.
var buildBinaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "txn-binaries-")
	if err != nil {
		return "", err
	}
	builtIn.Store(&dir)
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", dir+string(filepath.Separator),
		"../api", "../dispatcher", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir := builtIn.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(code)
}

// devRun is one `txnctl dev` as a process.
type devRun struct {
	cmd      *exec.Cmd
	out, err *output
	done     chan struct{}
	code     int // read after done

	ready struct {
		APIURL      string   `json:"api_url"`
		APIKey      string   `json:"api_key"`
		BusinessID  string   `json:"business_id"`
		Accounts    []string `json:"accounts"`
		DatabaseURL string   `json:"database_url"`
	}
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// dataDirectory is a private one: as root it is closed to PostgreSQL's user.
func dataDirectory(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	t.Cleanup(func() {
		// The cluster of root lies elsewhere.
		require.NoError(t, devstack.RemovePostgres(context.Background(), filepath.Join(dir, "postgres")))
	})
	return dir
}

func launchDev(t *testing.T, args ...string) *devRun {
	t.Helper()
	binaries, err := buildBinaries()
	require.NoError(t, err)
	run := &devRun{out: &output{}, err: &output{}, done: make(chan struct{})}
	run.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(binaries, "txnctl"), append([]string{"dev"}, args...)...)
	run.cmd.Dir = t.TempDir()
	run.cmd.Stdout, run.cmd.Stderr = run.out, run.err
	require.NoError(t, run.cmd.Start())
	go func() {
		defer close(run.done)
		_ = run.cmd.Wait()
		run.code = run.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = run.cmd.Process.Signal(syscall.SIGTERM)
		run.wait(t)
		if t.Failed() {
			t.Logf("txnctl dev said:\n%s", run.err)
		}
	})
	return run
}

// startDev runs everything and waits until it is ready.
func startDev(t *testing.T, dir string, args ...string) *devRun {
	t.Helper()
	run := launchDev(t, append([]string{"--listen", "127.0.0.1:0", "--data-dir", dir, "--ready-json"}, args...)...)
	require.Eventually(t, func() bool { return strings.Contains(run.out.String(), "\n") || run.ended() }, startupTimeout, 20*time.Millisecond)
	require.False(t, run.ended(), "it ended: %s", run.err)
	line, rest, _ := strings.Cut(run.out.String(), "\n")
	require.Empty(t, rest, "one line and nothing else")
	require.NoError(t, json.Unmarshal([]byte(line), &run.ready), line)
	require.NoError(t, disclosure.Record(run.ready.APIKey))
	require.NoError(t, disclosure.RecordPassword(run.ready.DatabaseURL))
	require.Empty(t, disclosure.InCommandLines(run.cmd.Process.Pid), "everybody sees secrets")
	return run
}

func (r *devRun) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *devRun) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(startupTimeout):
		_ = r.cmd.Process.Kill()
		t.Errorf("txnctl dev does not end; it said:\n%s", r.err)
	}
}

func (r *devRun) stop(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(signal))
	r.wait(t)
}

// call sends a request with the key of the ready line.
func (r *devRun) call(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.ready.APIURL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+r.ready.APIKey)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", strconv.FormatInt(time.Now().UnixNano(), 10))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, "%s %s: %s", method, path, text)
	var answer map[string]any
	require.NoError(t, json.Unmarshal(text, &answer))
	return answer
}

func (r *devRun) accounts(t *testing.T) []map[string]any {
	t.Helper()
	var found []map[string]any
	for _, id := range r.ready.Accounts {
		found = append(found, r.call(t, http.MethodGet, "/v1/accounts/"+id, ""))
	}
	return found
}

// requireGone checks that nothing of a run is left: no listener and no process
// that was started from its binaries or on its data.
func requireGone(t *testing.T, run *devRun, dir string) {
	t.Helper()
	config, err := pgx.ParseConfig(run.ready.DatabaseURL)
	require.NoError(t, err)
	for _, address := range []string{
		strings.TrimPrefix(run.ready.APIURL, "http://"), net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))),
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
		}
		require.Error(t, err, "%s still listens", address)
	}
	require.Empty(t, processesOf(t, dir))
}

// processesOf lists the command lines that mention dir, or whose environment
// does, where the system shows them.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range lines {
		if path == fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		target, _ := os.Readlink(filepath.Join(filepath.Dir(path), "fd", "1"))
		if bytes.Contains(text, []byte(dir)) || strings.HasPrefix(target, dir) {
			found = append(found, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func TestDevEndToEnd(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)

	first := startDev(t, dir)
	require.Equal(t, "Demo Business", first.call(t, http.MethodGet, "/v1/business", "")["name"])
	accounts := first.accounts(t)
	require.Len(t, accounts, 2)
	require.InDelta(t, 98_750, accounts[0]["balance"], 0)
	require.InDelta(t, 101_250, accounts[1]["balance"], 0)
	require.Contains(t, first.err.String(), "Webhook verified: transaction.created")

	moved := first.call(t, http.MethodPost, "/v1/transactions", fmt.Sprintf(
		`{"type":"transfer","amount":500,"source_account_id":%q,"destination_account_id":%q}`,
		first.ready.Accounts[0], first.ready.Accounts[1]))
	id, ok := moved["id"].(string)
	require.True(t, ok)
	require.Eventually(t, func() bool { return strings.Contains(first.err.String(), "("+id+")") },
		30*time.Second, 20*time.Millisecond, "its webhook arrives too")
	accounts = first.accounts(t)
	require.NotEmpty(t, processesOf(t, dir), "the check for leftovers finds what runs")

	// A second one on the same data is refused and does no harm.
	second := launchDev(t, "--listen", "127.0.0.1:0", "--data-dir", dir)
	second.wait(t)
	require.Equal(t, exitFailed, second.code)
	require.Contains(t, second.err.String(), "another `txnctl dev` runs")
	require.Equal(t, accounts, first.accounts(t))

	first.stop(t, syscall.SIGINT)
	require.Equal(t, exitDone, first.code, "%s", first.err)
	requireGone(t, first, dir)

	again := startDev(t, dir)
	require.Equal(t, first.ready.BusinessID, again.ready.BusinessID)
	require.Equal(t, first.ready.APIKey, again.ready.APIKey)
	require.Equal(t, first.ready.Accounts, again.ready.Accounts)
	require.Equal(t, accounts, again.accounts(t), "a restart moves nothing")
	again.stop(t, syscall.SIGTERM)
	require.Equal(t, exitDone, again.code, "%s", again.err)
	requireGone(t, again, dir)

	fresh := startDev(t, dir, "--reset")
	require.NotEqual(t, first.ready.BusinessID, fresh.ready.BusinessID)
	require.NoError(t, fresh.cmd.Process.Kill())
	fresh.wait(t)
	require.Eventually(t, func() bool { return len(processesOf(t, dir)) == 0 }, time.Minute, 50*time.Millisecond,
		"even a killed one leaves nothing running")
}

func TestDevForPeople(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)
	run := launchDev(t, "--listen", "127.0.0.1:0", "--data-dir", dir, "--rate-limit", "20-M")
	require.Eventually(t, func() bool { return strings.Contains(run.out.String(), "Ctrl-C") || run.ended() },
		startupTimeout, 20*time.Millisecond)
	text := run.out.String()
	for _, want := range []string{"signature is good", "webhook-signature: v1,", "Rate limit   20-M", `"type":"transaction.created"`} {
		require.Contains(t, text, want)
	}
	// Every printed command works as it is, in a shell.
	commands := printedCommands(text)
	require.Len(t, commands, 4)
	for _, command := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl --silent --show-error --fail ", 1))
		answer, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", command, answer)
		require.True(t, json.Valid(answer), "%s: %s", command, answer)
	}
	run.stop(t, syscall.SIGINT)
	require.Equal(t, exitDone, run.code, "%s", run.err)
}

// printedCommands are the curl lines of the guide, continued lines joined.
func printedCommands(text string) []string {
	var commands []string
	scanner := bufio.NewScanner(strings.NewReader(strings.ReplaceAll(text, "\\\n", "")))
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "curl ") {
			commands = append(commands, scanner.Text())
		}
	}
	return commands
}

func TestDevInterruptedWhileStarting(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)
	run := launchDev(t, "--listen", "127.0.0.1:0", "--data-dir", dir, "--ready-json")
	require.Eventually(t, func() bool { return strings.Contains(run.err.String(), "Starting PostgreSQL") },
		startupTimeout, time.Millisecond)
	run.stop(t, syscall.SIGTERM)
	require.Equal(t, exitFailed, run.code)
	require.Empty(t, run.out.String())
	require.Contains(t, run.err.String(), "interrupted")
	require.Empty(t, processesOf(t, dir))
	next := startDev(t, dir)
	next.stop(t, syscall.SIGINT)
	require.Equal(t, exitDone, next.code, "half a start does not spoil the data: %s", next.err)
}

func TestDevSaysWhenThePortIsInUse(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = buildBinaries() // not on the clock
	require.NoError(t, err)
	began := time.Now()
	run := launchDev(t, "--listen", taken.Addr().String(), "--data-dir", dataDirectory(t))
	run.wait(t)
	require.Equal(t, exitFailed, run.code)
	require.Contains(t, run.err.String(), "the port is in use: "+taken.Addr().String())
	require.Less(t, time.Since(began), 10*time.Second, "before anything is started")
}
