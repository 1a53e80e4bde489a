package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// productModule is the module that is measured.
const productModule = "github.com/txn-service/txn"

// buildGrace is how long the output of a build that was killed is waited for.
const buildGrace = 10 * time.Second

// binaries builds programs the way releases are built, each once.
type binaries struct {
	dir      string // of the results
	root     string // of the product's source
	progress io.Writer

	mu    sync.Mutex
	built map[string]bool
}

func newBinaries(ctx context.Context, dir string, progress io.Writer) (*binaries, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", productModule)
	var failure bytes.Buffer
	list.Stderr = &failure
	root, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("finding the source (run this in the bench directory): %w: %s", err, failure.String())
	}
	return &binaries{dir: dir, root: strings.TrimSpace(string(root)), progress: progress, built: map[string]bool{}}, nil
}

// product returns the path of one of the service's binaries.
func (b *binaries) product(ctx context.Context, name string) (string, error) {
	return b.build(ctx, name, b.root, "./cmd/"+name)
}

// own returns the path of a program of this module.
func (b *binaries) own(ctx context.Context, name string) (string, error) {
	return b.build(ctx, name, "", productModule+"/bench/"+name)
}

func (b *binaries) build(ctx context.Context, name, dir, target string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := filepath.Join(b.dir, name)
	if b.built[name] {
		return path, nil
	}
	fmt.Fprintf(b.progress, "building %s\n", name)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, target)
	build.Dir = dir
	// Killed as a group and with its temporary files where they are removed:
	// killed alone, go leaves its compilers running and the files behind.
	build.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	build.Cancel = func() error { return syscall.Kill(-build.Process.Pid, syscall.SIGKILL) }
	build.WaitDelay = buildGrace
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTMPDIR="+b.dir)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	b.built[name] = true
	return path, nil
}

// Program returns the path of a program of this module, built if need be.
func (s *Stack) Program(ctx context.Context, name string) (string, error) {
	return s.bin.own(ctx, name)
}
