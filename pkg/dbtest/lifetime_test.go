package dbtest_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

const (
	patience = 20 * time.Second
	tick     = 20 * time.Millisecond
	// hangVariable makes TestHang do something: it is for being killed.
	hangVariable = "DBTEST_TEST_HANG"
)

// otherBinary prepares another process of these tests.
func otherBinary(t *testing.T, run string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+run+"$", "-test.v")
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TXN_TEST_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func TestHang(t *testing.T) {
	how := os.Getenv(hangVariable)
	if how == "" {
		t.Skip("is for other tests")
	}
	db := dbtest.New(t)
	dbtest.Redis(t)
	_, err := os.Stdout.WriteString("\nurl " + db.URL + "\n")
	require.NoError(t, err)
	if how == "panic" {
		panic("as asked")
	}
	time.Sleep(time.Minute)
}

func TestPrivateServersEndWithTheTestBinary(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"kill", "panic"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			temp, err := os.MkdirTemp("/tmp", "txn-dbtest-test-")
			require.NoError(t, err)
			defer os.RemoveAll(temp)
			require.NoError(t, os.Chmod(temp, 0o711))
			cmd := otherBinary(t, "TestHang", hangVariable+"="+how, "TMPDIR="+temp)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			var address string
			for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
				address, _ = strings.CutPrefix(lines.Text(), "url ")
				if !strings.HasPrefix(address, "postgres:") {
					address = ""
				}
			}
			require.NotEmpty(t, address, "the other binary did not start")
			if how == "kill" {
				require.NoError(t, cmd.Process.Kill())
			}
			require.Error(t, cmd.Wait())
			require.Eventually(t, func() bool {
				conn, err := pgx.Connect(context.Background(), address)
				if err == nil {
					conn.Close(context.Background())
				}
				return err != nil
			}, patience, tick, "the server lives on")
			require.Eventually(t, func() bool {
				left, err := os.ReadDir(temp)
				return err == nil && len(left) == 0
			}, patience, tick, "files are left")
		})
	}
}

func TestTemplateIsSharedByTestBinaries(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	address := server.URL("postgres")
	var binaries []*exec.Cmd
	var outputs []*strings.Builder
	for range 3 {
		cmd := otherBinary(t, "(TestNewIsMigratedAndPrivate|TestNewKeepsCommitSemantics)", "TXN_TEST_DATABASE_URL="+address)
		output := new(strings.Builder)
		cmd.Stdout, cmd.Stderr = output, output
		require.NoError(t, cmd.Start())
		binaries, outputs = append(binaries, cmd), append(outputs, output)
	}
	for i, cmd := range binaries {
		require.NoError(t, cmd.Wait(), outputs[i])
		require.Contains(t, outputs[i].String(), "--- PASS: TestNewIsMigratedAndPrivate")
	}
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT datname FROM pg_database WHERE starts_with(datname, 'txn_')")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, names, 1, "one template and no databases of tests, not %v", names)
}
