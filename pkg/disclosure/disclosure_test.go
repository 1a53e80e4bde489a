package disclosure_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/disclosure"
)

func TestSecretsAreFoundInAnySpelling(t *testing.T) {
	t.Parallel()
	raw := []byte("a signing secret of thirty-two b")
	encoded := base64.StdEncoding.EncodeToString(raw)
	require.NoError(t, disclosure.Record("whsec_"+encoded))
	require.NoError(t, disclosure.RecordPassword("postgres://txn:correct-horse-battery@127.0.0.1/db"))
	for _, leak := range []string{
		"whsec_" + encoded, encoded, string(raw), hex.EncodeToString(raw), fmt.Sprintf("%d", raw), fmt.Sprintf("%q", raw),
		"password=correct-horse-battery",
	} {
		for _, text := range []string{leak, "a line\n{\"message\":\"" + leak + "\"}\n"} {
			found := disclosure.In(text)
			require.NotEmpty(t, found, leak)
			require.NotContains(t, strings.Join(found, "\n"), leak, "what is found is not shown")
		}
	}
	require.Empty(t, disclosure.In("correct-horse-batter signing secret of thirty"))
}

// What has the form of a secret needs no recording.
func TestSecretsAreFoundByTheirForm(t *testing.T) {
	t.Parallel()
	for _, leak := range []string{"txn_" + strings.Repeat("aB3", 12) + "zz", "whsec_" + strings.Repeat("aB3+", 11)} {
		require.Len(t, disclosure.In("key="+leak+" was refused\n"), 1)
	}
	for _, harmless := range []string{
		"txn_01h455vb4pex5vsknk084sn02q", "txn_ledger_commit_items_bucket", "txn_http_request_duration_seconds_bucket_total",
		"txn_aB3d", "whsec_…", "txn_" + strings.Repeat("a", 39),
	} {
		require.Empty(t, disclosure.In(harmless), harmless)
	}
}

// Processes of one run know each other's secrets by a file.
func TestSecretsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRecordAsAnotherProcess$")
	other.Env = append(os.Environ(), disclosure.FileVariable+"="+file, recordVariable+"=of-another-process")
	out, err := other.CombinedOutput()
	require.NoError(t, err, "%s", out)
	found, err := disclosure.InFile(file, "it is\nof-another-process")
	require.NoError(t, err)
	require.Equal(t, []string{`a secret of a test in line 2, behind ""`}, found)
	require.Empty(t, disclosure.In("of-another-process"))
}

const recordVariable = "TXN_TEST_RECORD"

func TestRecordAsAnotherProcess(t *testing.T) {
	t.Parallel()
	require.NoError(t, disclosure.Record(os.Getenv(recordVariable)))
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("there is no /proc")
	}
	require.NoError(t, disclosure.Record("on-a-command-line"))
	for _, careless := range []bool{false, true} {
		command := exec.CommandContext(t.Context(), "/bin/sh", "-c", "read line", "sh", fmt.Sprint("--password=on-a-", map[bool]string{true: "command-line"}[careless]))
		in, err := command.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		require.Equal(t, careless, len(disclosure.InCommandLines(command.Process.Pid)) > 0)
		require.NoError(t, in.Close())
		_ = command.Wait() // read fails at the end of its input
	}
}
