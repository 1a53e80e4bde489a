package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// killGrace is how long a server may take to end after the last polite signal.
const killGrace = 10 * time.Second

// process is a running child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has been reaped
	err  error         // how it ended; read after done

	// watchdog is here to be reachable as long as the child runs: the pipe of a guard that nobody refers to would be
	// closed by the garbage collector, and the server stopped under its users.
	watchdog *guard
}

// startProcess starts cmd in a process group of its own. Where the system can, the child gets onDeath when this
// process dies.
func startProcess(cmd *exec.Cmd, credential *syscall.Credential, onDeath syscall.Signal) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential}
	setParentDeathSignal(cmd.SysProcAttr, onDeath)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.supervise(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// supervise starts the child and waits for it on one OS thread: the parent-death signal is sent when the thread that
// forked ends, not the process, so that thread has to live as long as the child.
func (p *process) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the child to end with the first signal and waits until ctx ends, then gives each further signal a grace
// period. It returns an error if the first signal was not enough.
func (p *process) stop(ctx context.Context, signals ...syscall.Signal) error {
	if p.exited() {
		return nil
	}
	_ = p.cmd.Process.Signal(signals[0]) // fails only if the child has just ended
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	for _, signal := range append(signals[1:], syscall.SIGKILL) {
		_ = p.cmd.Process.Signal(signal)
		select {
		case <-p.done:
			return fmt.Errorf("process %d had to be ended with %v: %w", p.pid(), signal, ctx.Err())
		case <-time.After(killGrace):
		}
	}
	return fmt.Errorf("process %d does not end: %w", p.pid(), ctx.Err())
}

// cleanEnv is the environment of the servers: nothing of the caller's (PGOPTIONS, LC_*, TZ) may change how they
// behave, and LC_ALL=C keeps their logs in English.
func cleanEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "LANG=C"}
}
