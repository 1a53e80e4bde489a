package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/txn-service/txn/pkg/dbtest"
)

// asProgram makes the test binary behave as the program, which spares a build.
const asProgram = "TXN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, dbtest.IgnoreServers())
}

func program(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Env = append(cmd.Env, environment...)
	return cmd
}

// process is a real dispatcher process.
type process struct {
	command *exec.Cmd
	exited  chan error
}

// spawn starts a process and waits until it has started.
func spawn(t *testing.T, databaseURL string, environment ...string) *process {
	t.Helper()
	p := &process{exited: make(chan error, 1)}
	p.command = program(t, append([]string{
		"TXN_DATABASE_URL=" + databaseURL, "TXN_SECURITY_ENCRYPTION_KEYS=" + encryptionKey,
		"TXN_DISPATCHER_ADMIN_LISTEN=", "TXN_WEBHOOKS_ALLOW_INSECURE=true",
		"TXN_WEBHOOKS_RETRY_SCHEDULE=100ms,200ms,1s,1s,2s,2s,5s",
	}, environment...))
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	listening := make(chan struct{}, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var line struct{ Message string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				t.Errorf("only JSON lines on standard output: %s", lines.Bytes())
			}
			if line.Message == "listening" {
				listening <- struct{}{}
			}
		}
		p.exited <- p.command.Wait()
	}()
	t.Cleanup(func() { _ = p.command.Process.Kill() })
	select {
	case <-listening:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the process does not start")
	}
	return p
}

// end sends a signal and waits for the exit.
func (p *process) end(t *testing.T, signal os.Signal) error {
	t.Helper()
	require.NoError(t, p.command.Process.Signal(signal))
	select {
	case err := <-p.exited:
		return err
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the process does not end")
		return nil
	}
}

func TestProcessExitCodes(t *testing.T) {
	t.Parallel()
	text, err := program(t, nil, "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(text), "dispatcher ")
	var exit *exec.ExitError
	_, err = program(t, nil, "--config", "nowhere.yaml").Output()
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitFailed, exit.ExitCode())
	_, err = program(t, nil, "surprise").Output()
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitUsage, exit.ExitCode())
}

func TestProcessEndsCleanlyOnSIGTERM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	r := w.endpoint(0)
	p := spawn(t, w.url)
	w.events(200)
	require.Eventually(t, func() bool { return r.count() > 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, p.end(t, syscall.SIGTERM), "exit code 0")
	sent := r.total()
	require.Equal(t, r.count(), sent, "nothing was sent twice")
	require.Equal(t, sent, w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`), "what was sent is recorded")
	require.Zero(t, w.number(`SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`), "leases are given back")
	second := spawn(t, w.url)
	w.drained(20 * time.Second)
	require.NoError(t, second.end(t, syscall.SIGTERM))
	require.Equal(t, 200, r.count())
	require.Equal(t, 200, r.total(), "a rolling deploy sends nothing twice")
}
