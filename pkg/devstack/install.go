package devstack

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Software is something that Install can install.
type Software int

// The servers of this package.
const (
	SoftwarePostgres Software = iota + 1
	SoftwareRedis
)

func (s Software) String() string {
	if s == SoftwareRedis {
		return "Redis"
	}
	return "PostgreSQL"
}

// software describes how one Software is installed and found.
type software struct {
	apt, brew string
	find      func() (string, error)
}

func (s Software) describe() software {
	if s == SoftwareRedis {
		return software{apt: "redis-server", brew: "redis", find: FindRedis}
	}
	return software{apt: "postgresql", brew: "postgresql@16", find: FindPostgres}
}

// interruptGrace is how long a package manager may take to end after it was interrupted.
const interruptGrace = 30 * time.Second

//go:embed install_apt.sh
var aptScript string

// Install installs the software with the package manager of the system where that needs no question: apt-get as root or
// with a sudo that asks for no password, or Homebrew as an ordinary user. It writes to out what it runs and what that
// says. It starts no service and leaves no database cluster behind. It does nothing if the software is there.
//
// The error wraps ErrCannotInstall and the software's own error (ErrPostgresNotFound, ErrRedisNotFound) where the
// package manager may not be used, and the latter also where the package did not bring what is needed.
func Install(ctx context.Context, what Software, out io.Writer) error {
	wanted := what.describe()
	_, missing := wanted.find()
	if missing == nil {
		return nil
	}
	command, said := installCommand(ctx, wanted)
	if command == nil {
		return fmt.Errorf("%w: %w", ErrCannotInstall, missing)
	}
	fmt.Fprintf(out, "%s is missing; installing it: %s\n", what, said)
	command.Stdout, command.Stderr = out, out
	// A package manager that is killed leaves a mess: it gets the chance to end by itself.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = interruptGrace
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w; %w", said, err, missing)
	}
	_, err := wanted.find()
	return err
}

// installCommand returns what to run and how to name it to people; nil if no package manager may be used.
func installCommand(ctx context.Context, wanted software) (command *exec.Cmd, said string) {
	root := os.Geteuid() == 0
	if _, err := exec.LookPath("apt-get"); err == nil {
		said = "apt-get install " + wanted.apt
		script := []string{"-c", aptScript, "apt-get", wanted.apt}
		if root {
			return exec.CommandContext(ctx, "sh", script...), said
		}
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
			return exec.CommandContext(ctx, "sudo", append([]string{"-n", "sh"}, script...)...), "sudo " + said
		}
		return nil, ""
	}
	if _, err := exec.LookPath("brew"); err == nil && !root {
		return exec.CommandContext(ctx, "brew", "install", wanted.brew), "brew install " + wanted.brew
	}
	return nil, ""
}
