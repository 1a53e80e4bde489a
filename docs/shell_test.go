package docs_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// commandTimeout bounds one command: some compile, on a machine busy with tests.
const commandTimeout = 4 * time.Minute

// shell is a terminal that somebody pastes the commands of a page into, one after the
// other: variables, functions and background processes stay.
type shell struct {
	t        *testing.T
	dir      string // of the files that commands and answers go through
	commands *os.File
	codes    *bufio.Reader
	count    int
}

// loop reads names of files with commands and reports how each ended. Commands read
// nothing from the terminal, as in a script.
//
// At the end it stops what it has left in the background, and waits for it.
const loop = `while read -r file <&3; do . "$file" >"$file.out" 2>"$file.err" </dev/null; echo $? >&4; done
trap '' TERM; kill 0; wait`

func startShell(t *testing.T, dir string, environment []string) *shell {
	t.Helper()
	commandsEnd, commands, err := os.Pipe()
	require.NoError(t, err)
	codes, codesEnd, err := os.Pipe()
	require.NoError(t, err)
	s := &shell{t: t, dir: t.TempDir(), commands: commands, codes: bufio.NewReader(codes)}
	process := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", loop)
	process.Dir, process.Env = dir, environment
	process.ExtraFiles = []*os.File{commandsEnd, codesEnd}
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, process.Start())
	commandsEnd.Close()
	codesEnd.Close()
	t.Cleanup(func() {
		commands.Close()
		overdue := time.AfterFunc(stopTimeout, func() { _ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL) })
		_ = process.Wait()
		require.True(t, overdue.Stop(), "something in the background did not end")
		codes.Close()
	})
	return s
}

// run executes a command, which must succeed, and returns what it printed. A command
// that goes on in the background must say that it listens.
func (s *shell) run(command string) (out, errors string) {
	s.t.Helper()
	s.count++
	file := filepath.Join(s.dir, strconv.Itoa(s.count))
	require.NoError(s.t, os.WriteFile(file, []byte(command+"\n"), 0o600))
	_, err := s.commands.WriteString(file + "\n")
	require.NoError(s.t, err)
	code := make(chan string, 1)
	go func() {
		line, _ := s.codes.ReadString('\n')
		code <- strings.TrimSpace(line)
	}()
	select {
	case ended := <-code:
		require.Equal(s.t, "0", ended, "%s\n%s\n%s", command, s.read(file+".out"), s.read(file+".err"))
	case <-time.After(commandTimeout):
		require.FailNow(s.t, "it does not end", "%s\n%s\n%s", command, s.read(file+".out"), s.read(file+".err"))
	}
	if strings.HasSuffix(command, "&") {
		require.Eventually(s.t, func() bool { return strings.Contains(s.read(file+".out")+s.read(file+".err"), "listening") },
			time.Minute, 10*time.Millisecond, "%s", command)
	}
	return s.read(file + ".out"), s.read(file + ".err")
}

func (s *shell) read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
