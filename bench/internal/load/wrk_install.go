package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ErrWrkNotFound says that wrk is not installed, and how to install it.
var ErrWrkNotFound = errors.New("wrk not found on PATH; " +
	"install it: Debian and Ubuntu: apt-get install wrk; " +
	"Fedora: dnf install wrk; " +
	"Alpine: apk add wrk; " +
	"macOS: brew install wrk")

// installGrace is how long a package manager may take to end after it was interrupted.
const installGrace = 30 * time.Second

// aptScript updates the lists only if the package is not known yet.
const aptScript = `export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 wrk; }
install || { apt-get update -o DPkg::Lock::Timeout=120 && install; }`

// InstallWrk installs wrk with the package manager of the system where that
// needs no question: apt-get as root or with a sudo that asks for no password,
// or Homebrew as an ordinary user. It does nothing if wrk is there. Errors:
// ErrWrkNotFound.
func InstallWrk(ctx context.Context, out io.Writer) error {
	if _, err := exec.LookPath("wrk"); err == nil {
		return nil
	}
	install := wrkInstaller(ctx)
	if install == nil {
		return ErrWrkNotFound
	}
	fmt.Fprintln(out, "wrk is missing; installing it with the system's package manager")
	install.Stdout, install.Stderr = out, out
	// A package manager that is killed leaves a mess: it gets the chance to end by itself.
	install.Cancel = func() error { return install.Process.Signal(syscall.SIGTERM) }
	install.WaitDelay = installGrace
	if err := install.Run(); err != nil {
		return fmt.Errorf("installing wrk: %w; %w", err, ErrWrkNotFound)
	}
	if _, err := exec.LookPath("wrk"); err != nil {
		return ErrWrkNotFound
	}
	return nil
}

// wrkInstaller returns what to run, nil if no package manager may be used.
func wrkInstaller(ctx context.Context) *exec.Cmd {
	root := os.Geteuid() == 0
	if _, err := exec.LookPath("apt-get"); err == nil {
		if root {
			return exec.CommandContext(ctx, "sh", "-c", aptScript)
		}
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
			return exec.CommandContext(ctx, "sudo", "-n", "sh", "-c", aptScript)
		}
		return nil
	}
	if _, err := exec.LookPath("brew"); err == nil && !root {
		return exec.CommandContext(ctx, "brew", "install", "wrk")
	}
	return nil
}
