package devstack

import (
	_ "embed"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

//go:embed guard.sh
var guardScript string

// guard is a small shell process that stops the server and removes its temporary directory when this process is gone,
// even by kill -9 or a panic. It costs one sleeping `sh`; a parent-death signal alone exists only on Linux and removes
// nothing.
type guard struct {
	cmd     *exec.Cmd
	pipe    io.WriteCloser
	watched int // the server that the guard would stop, 0 for none
}

// startGuard starts a guard that stops a server with signal and then removes the directory temporary, unless that is
// empty.
func startGuard(signal syscall.Signal, temporary string) (*guard, error) {
	// The script goes through the environment so that a list of processes shows what this one is for.
	cmd := exec.Command("/bin/sh", "-c", `eval "$GUARD"`, "txn-guard", strconv.Itoa(int(signal)), temporary)
	cmd.Dir = "/"
	cmd.Env = append(cleanEnv(), "GUARD="+guardScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of what the terminal or a job runner signals
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

// watch names the server to stop; 0 says that none is running, for its process id may soon be somebody else's.
func (g *guard) watch(pid int) error {
	line := "\n"
	if pid != 0 {
		line = strconv.Itoa(pid) + "\n"
	}
	if _, err := io.WriteString(g.pipe, line); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	g.watched = pid
	return nil
}

// close lets the guard do its work now and waits until it is done.
func (g *guard) close() error {
	_ = g.pipe.Close()
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}
