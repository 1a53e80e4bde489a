package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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
	goleak.VerifyTestMain(m, dbtest.IgnoreServers(), goleak.Cleanup(func(code int) {
		if dir := builtIn.Load(); dir != nil {
			_ = os.RemoveAll(*dir)
		}
		os.Exit(code)
	}))
}

func program(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Env = append(cmd.Env, environment...)
	return cmd
}

func TestProcessEndsCleanlyOnSIGTERM(t *testing.T) {
	t.Parallel()
	cmd := program(t, []string{
		"TXN_DATABASE_URL=" + dbtest.New(t).URL,
		"TXN_API_LISTEN=127.0.0.1:0",
		"TXN_API_ADMIN_LISTEN=",
		"TXN_SECURITY_ENCRYPTION_KEYS=" + encryptionKey,
	})
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	var line struct {
		Message string `json:"message"`
		API     string `json:"api"`
	}
	for line.Message != "listening" && lines.Scan() {
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), "%s", lines.Bytes())
	}
	status, body := get(t, "http://"+line.API+"/readyz", "")
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	for lines.Scan() {
		require.True(t, jsontext.Value(lines.Bytes()).IsValid(), "only JSON lines on standard output: %s", lines.Bytes())
	}
	require.NoError(t, cmd.Wait(), "exit code 0")
}

func TestProcessExitCodes(t *testing.T) {
	t.Parallel()
	text, err := program(t, nil, "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(text), "api ")
	var exit *exec.ExitError
	_, err = program(t, nil, "--config", "nowhere.yaml").Output()
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitFailed, exit.ExitCode())
	require.Contains(t, string(exit.Stderr), "nowhere.yaml")
	_, err = program(t, nil, "surprise").Output()
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitUsage, exit.ExitCode())
}
