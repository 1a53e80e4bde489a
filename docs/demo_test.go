package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/devstack"
)

const (
	startTimeout = 8 * time.Minute // it compiles
	stopTimeout  = 2 * time.Minute
)

// demo is what `make run` of README.md has started: the built programs, a PostgreSQL,
// an API, a dispatcher and a receiver of webhooks, for all pages of a run.
type demo struct {
	home        string
	environment []string
	output      output
	command     *exec.Cmd
	done        chan struct{}
}

var running struct {
	once sync.Once
	demo *demo
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if running.demo != nil {
		if err := running.demo.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// startDemo executes `make run`, once.
func startDemo(t *testing.T) *demo {
	t.Helper()
	running.once.Do(func() { running.demo, running.err = launchDemo() })
	require.NoError(t, running.err)
	return running.demo
}

func launchDemo() (*demo, error) {
	home, err := os.MkdirTemp("", "txn-docs-")
	if err != nil {
		return nil, err
	}
	d := &demo{home: home, done: make(chan struct{})}
	if err := os.Chmod(home, 0o711); err != nil { // for PostgreSQL's own user
		return d, err
	}
	if d.environment, err = environment(home); err != nil {
		return d, err
	}
	d.command = exec.CommandContext(context.Background(), "sh", "-c", "make run")
	d.command.Dir = root
	d.command.Env = append(slices.Clone(d.environment), "ARGS=--listen 127.0.0.1:0")
	d.command.Stdout, d.command.Stderr = &d.output, &d.output
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.command.Start(); err != nil {
		return d, err
	}
	go func() {
		defer close(d.done)
		_ = d.command.Wait()
	}()
	return d, d.await("Ctrl-C stops everything")
}

// environment is that of a newcomer: a home of his own, and no setting of txn or of
// the make that runs the tests. What has been compiled before may be used.
func environment(home string) ([]string, error) {
	golang, err := exec.CommandContext(context.Background(), "go", "env", "GOCACHE", "GOMODCACHE", "GOPATH", "GOENV").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch {
		case strings.HasPrefix(name, "TXN_"), strings.HasPrefix(name, "MAKE"), strings.HasPrefix(name, "XDG_"):
		case name == "HOME", name == "MFLAGS", name == "PACKAGES", name == "TESTFLAGS", name == "ARGS", name == "PATH":
		default:
			kept = append(kept, variable)
		}
	}
	for i, value := range strings.Split(strings.TrimSpace(string(golang)), "\n") {
		kept = append(kept, []string{"GOCACHE=", "GOMODCACHE=", "GOPATH=", "GOENV="}[i]+value)
	}
	path := os.Getenv("PATH")
	// Beside the server are its client programs; on PATH there may be links to it alone.
	if found, err := devstack.FindPostgres(); err == nil {
		if server, err := filepath.EvalSymlinks(filepath.Join(found, "postgres")); err == nil {
			path = filepath.Dir(server) + string(filepath.ListSeparator) + path
		}
	}
	return append(kept, "HOME="+home, "PATH="+filepath.Join(root, "bin")+string(filepath.ListSeparator)+path), nil
}

// await waits until `make run` has said something.
func (d *demo) await(text string) error {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		select {
		case <-d.done:
			return fmt.Errorf("make run ended:\n%s", d.output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if strings.Contains(d.output.String(), text) {
			return nil
		}
	}
	return fmt.Errorf("make run does not say %q:\n%s", text, d.output.String())
}

// stop is Ctrl-C, which a terminal sends to all of a group. Nothing is left.
func (d *demo) stop() error {
	defer os.RemoveAll(d.home)
	if d.command == nil || d.command.Process == nil {
		return nil
	}
	_ = syscall.Kill(-d.command.Process.Pid, syscall.SIGINT) // or it has ended
	select {
	case <-d.done:
	case <-time.After(stopTimeout):
		_ = syscall.Kill(-d.command.Process.Pid, syscall.SIGKILL)
		return errors.New("make run does not end")
	}
	// The cluster of root lies elsewhere.
	return devstack.RemovePostgres(context.Background(), filepath.Join(d.home, ".cache", "txn-dev", "postgres"))
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
