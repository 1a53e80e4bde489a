package stack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a running child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has been reaped
	err  error         // how it ended; read after done
}

// startProcess starts a child in a process group of its own: Ctrl-C in a
// terminal must reach this process first. Where the system can, the child ends
// when this process dies.
func startProcess(path string, env []string, log *os.File) (*process, error) {
	p := &process{cmd: exec.Command(path), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(p.cmd.SysProcAttr)
	started := make(chan error, 1)
	go p.supervise(started)
	return p, <-started
}

// supervise stays on one OS thread: the parent-death signal is sent when the
// thread that forked ends, not the process.
func (p *process) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	if p.err = p.cmd.Start(); p.err != nil {
		started <- p.err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
}

// ended reports whether the child is gone or never was.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the child to end and kills it when ctx ends first, which is an
// error, as is a failure of the child itself.
func (p *process) stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if the child has ended
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Kill() // as above
	<-p.done
	return errors.Join(errors.New("the process had to be killed"), ctx.Err())
}
