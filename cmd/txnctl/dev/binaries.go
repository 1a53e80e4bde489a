package dev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const module = "github.com/txn-service/txn"

// services are the processes that Run starts, the first one first. The API comes
// last: whoever can reach it finds everything behind it running.
var services = []string{"dispatcher", "api"}

// ErrNoBinaries says that there is neither a built service nor a source to build
// it from.
var ErrNoBinaries = errors.New("api and dispatcher are not beside txnctl, and neither it nor the working directory " +
	"is in a checkout of " + module + " to build them from: run `make build` and use bin/txnctl")

// findBinaries returns the directory with the services: that of txnctl itself,
// or one that they are built into from the source.
func (d *stack) findBinaries(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding txnctl: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(self); err == nil {
		self = resolved
	}
	beside := filepath.Dir(self)
	if holdsServices(beside) {
		return beside, nil
	}
	working, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the source: %w", err)
	}
	for _, start := range []string{working, beside} {
		if root := moduleRoot(start); root != "" {
			return d.buildServices(ctx, root)
		}
	}
	return "", ErrNoBinaries
}

func holdsServices(dir string) bool {
	for _, name := range services {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// moduleRoot returns the directory at or above dir that holds this module's
// go.mod, "" if there is none.
func moduleRoot(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module "+module+"\n")) {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func (d *stack) buildServices(ctx context.Context, root string) (string, error) {
	dir := filepath.Join(d.DataDir, "bin")
	d.progress("Building api and dispatcher from %s …", root)
	args := []string{"build", "-trimpath", "-o", dir + string(filepath.Separator)}
	for _, name := range services {
		args = append(args, "./cmd/"+name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the services: %w\n%s", err, bytes.TrimSpace(output))
	}
	return dir, nil
}
