package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a service that runs as a child.
type process struct {
	name string
	log  string // path of its log
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has been reaped
	err  error         // how it ended; read after done
}

// startProcess starts a program in a process group of its own, because Ctrl-C in
// a terminal must reach txnctl first, with its output in a log that only its
// owner can read. The log of the run before stays beside it.
func startProcess(name, program, log string, env []string) (*process, error) {
	if err := os.Rename(log, log+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(program)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.supervise(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// supervise starts the child and waits for it on one OS thread: what ends the
// child with its parent is tied to the thread that forked, not to the process.
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

// killGrace is how long a killed process may take to be gone.
const killGrace = 5 * time.Second

// stop asks the process to finish and waits; when ctx ends first it is killed.
func (p *process) stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if the child has ended
	select {
	case <-p.done:
		return p.exitError()
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Kill() // fails only if the child has ended
	select {
	case <-p.done:
		return fmt.Errorf("it had to be killed: %w", ctx.Err())
	case <-time.After(killGrace):
		return fmt.Errorf("it does not end: %w", ctx.Err())
	}
}

// exitError says how an ended process failed, with the end of its log, or nil.
func (p *process) exitError() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%w; %s ends with:\n%s", p.err, p.log, tail(p.log))
}
