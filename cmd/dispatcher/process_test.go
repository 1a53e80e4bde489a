package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/disclosure"
)

// soak is how long the fault tests go on; by default they are short.
var soak = flag.Duration("soak", 0, "how long the tests that repeat a fault go on, all together; 0: as short as they can")

// scaled is the size of something in a short and in a long run.
func scaled[N any](short, long N) N {
	if *soak == 0 {
		return short
	}
	return long
}

// repeating is how many tests share the time of a long run.
const repeating = 6

// goOn runs rounds of a fault until the test's time is over, at least some.
func goOn(short int, round func(n int)) {
	for n, started := 0, time.Now(); n < short || time.Since(started) < *soak/repeating; n++ {
		round(n)
	}
}

// testSlots is how many slots the processes of the tests have.
const testSlots = 64

// mostDuplicates is what one crash can send twice: what was in flight, and the
// outcomes that waited to be written or were being written.
const mostDuplicates = testSlots + 2*256

// process is a real dispatcher process. Neither what it writes nor its command line
// may tell a secret.
type process struct {
	command *exec.Cmd
	exited  chan error
	written buffer
	// silent is closed when nothing more will be written.
	silent chan struct{}
}

// spawn starts a process and waits until it has started.
func spawn(t *testing.T, databaseURL string, environment ...string) *process {
	t.Helper()
	require.NoError(t, disclosure.Record(encryptionKey))
	p := &process{exited: make(chan error, 1), silent: make(chan struct{})}
	p.command = program(t, append([]string{
		"TXN_DATABASE_URL=" + databaseURL, "TXN_SECURITY_ENCRYPTION_KEYS=" + encryptionKey,
		"TXN_DISPATCHER_ADMIN_LISTEN=", "TXN_DISPATCHER_SLOTS=" + strconv.Itoa(testSlots), "TXN_WEBHOOKS_ALLOW_INSECURE=true",
		"TXN_WEBHOOKS_RETRY_SCHEDULE=100ms,200ms,1s,1s,2s,2s,5s,5s,10s,10s,10s",
	}, environment...))
	p.command.Stderr = io.MultiWriter(os.Stderr, &p.written)
	out, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	listening := make(chan struct{}, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, &p.written))
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
		close(p.silent)
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.silent
		require.Empty(t, disclosure.In(p.written.String()), "the process has written secrets")
	})
	select {
	case <-listening:
	case <-time.After(time.Minute):
		require.FailNow(t, "the process does not start")
	}
	require.Empty(t, disclosure.InCommandLines(p.command.Process.Pid), "everybody sees secrets")
	return p
}

// end sends a signal and waits for the exit.
func (p *process) end(t *testing.T, signal os.Signal) error {
	t.Helper()
	require.NoError(t, p.command.Process.Signal(signal))
	select {
	case err := <-p.exited:
		return err
	case <-time.After(time.Minute):
		require.FailNow(t, "the process does not end")
		return nil
	}
}

// kill ends the process as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	require.Error(t, p.end(t, syscall.SIGKILL))
}

// stop ends it as a deployment does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.end(t, syscall.SIGTERM), "it finishes and exits 0")
}
