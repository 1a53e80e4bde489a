package main

import (
	"flag"
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
	// These tests wait for processes more than they work, and one that waits should
	// not keep the others from it.
	flag.Parse()
	if *soak == 0 {
		_ = flag.Set("test.parallel", "12") // it is a number
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
