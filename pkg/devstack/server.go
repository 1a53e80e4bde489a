package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 2 * time.Minute // of a start whose context has no deadline: crash recovery takes its time
	stopTimeout  = time.Minute     // of a stop whose context has no deadline
	startTries   = 5
	retryPause   = 200 * time.Millisecond
	pollInterval = 10 * time.Millisecond
)

// program is what a server runs.
type program interface {
	// prepare brings the directory, which is locked, into a state that the program can start on.
	prepare(ctx context.Context) error
	// command returns how to run the program on a port, and as whom (nil: as the caller).
	command(port int) (*exec.Cmd, *syscall.Credential)
	// ready reports whether the program running as process pid on port serves its clients.
	ready(pid, port int) bool
}

// server is the life of a private server: one program in one directory on one port. Its methods may be called from
// several goroutines.
type server struct {
	program   program
	title     string // for people
	name      string // of its files in dir
	dir       string
	temporary bool // dir goes away with the server
	graceful  syscall.Signal
	immediate syscall.Signal
	log       io.Writer
	wish      int // port to try first where any will do, 0 for none

	mu      sync.Mutex // held for the whole of a start or stop
	port    int        // 0 before the first start where any will do, then fixed
	process *process   // the last one started
	guard   *guard
	lock    *dirLock
}

// Start starts the server again after a stop or a crash, on the same port. It does nothing if the server is running.
// Errors: ErrInUse if another process has taken the directory, ErrPortTaken if one has taken the port.
func (s *server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && !s.process.exited() {
		return nil
	}
	ctx, cancel := withDefaultTimeout(ctx, startTimeout)
	defer cancel()
	err := s.hold()
	if err == nil {
		err = s.program.prepare(ctx)
	}
	if err == nil {
		err = s.launch(ctx)
	}
	if err != nil {
		return errors.Join(err, s.release())
	}
	return nil
}

// hold takes the directory.
func (s *server) hold() error {
	var err error
	if s.lock == nil {
		if s.lock, err = lockDir(filepath.Join(s.dir, s.name+".lock")); err != nil {
			return err
		}
	}
	if s.guard == nil {
		doomed := ""
		if s.temporary {
			doomed = s.dir
		}
		s.guard, err = startGuard(s.lastSignal(), doomed)
	}
	return err
}

// lastSignal is what the server gets when this process dies: there is no point in saving temporary data.
func (s *server) lastSignal() syscall.Signal {
	if s.temporary {
		return s.immediate
	}
	return s.graceful
}

// launch tries a few times: a port that was free may be taken a moment later, and the children of a PostgreSQL that was
// killed hold its shared memory for a moment longer.
func (s *server) launch(ctx context.Context) error {
	var failure error
	for range startTries {
		port, err := s.choosePort()
		if err != nil {
			return err
		}
		if failure = s.launchOn(ctx, port); failure == nil {
			s.port = port
			fmt.Fprintf(s.log, "%s listens on %s\n", s.title, loopback(port))
			return nil
		}
		if portTaken(port) {
			failure = fmt.Errorf("%w: %s", ErrPortTaken, loopback(port))
		}
		select {
		case <-ctx.Done():
			return failure
		case <-time.After(retryPause):
		}
	}
	return failure
}

func (s *server) choosePort() (int, error) {
	if s.port != 0 {
		return s.port, nil
	}
	if s.wish != 0 && !portTaken(s.wish) {
		return s.wish, nil
	}
	return FreePort()
}

func (s *server) launchOn(ctx context.Context, port int) error {
	log, err := openLog(filepath.Join(s.dir, s.name+".log"))
	if err != nil {
		return err
	}
	defer log.close()
	cmd, credential := s.program.command(port)
	cmd.Env = cleanEnv()
	cmd.Stdout, cmd.Stderr = log.file, log.file
	started, err := startProcess(cmd, credential, s.lastSignal())
	if err != nil {
		return fmt.Errorf("start %s: %w", s.title, err)
	}
	started.watchdog = s.guard
	s.process = started
	if err = s.guard.watch(started.pid()); err == nil {
		err = s.awaitReady(ctx, started, port)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("start %s: %w; its log ends with:\n%s", s.title, err, log.tail())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	return errors.Join(err, s.end(ctx, s.immediate))
}

func (s *server) awaitReady(ctx context.Context, started *process, port int) error {
	for {
		if s.program.ready(started.pid(), port) {
			return nil
		}
		select {
		case <-started.done:
			return fmt.Errorf("the server ended: %w", started.err)
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// Stop shuts the server down in order and lets other processes have the directory. If ctx ends first (after a minute
// where it has no deadline) the server is ended at once, and an error says so. Stop does nothing if the server is not
// running.
func (s *server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.end(ctx, s.graceful, s.immediate), s.release())
}

// StopImmediate ends the server at once, as a crash would: connections break off, nothing is written any more.
func (s *server) StopImmediate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.end(ctx, s.immediate), s.release())
}

// Close stops the server and removes its directory if that is a temporary one. It may be called more than once.
func (s *server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.temporary {
		return errors.Join(s.end(ctx, s.graceful, s.immediate), s.release())
	}
	err := errors.Join(s.end(ctx, s.immediate), s.release())
	if s.guard != nil {
		err = errors.Join(err, s.guard.close())
		s.guard = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir)) // for the case that somebody killed the guard
}

func (s *server) end(ctx context.Context, signals ...syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	ctx, cancel := withDefaultTimeout(ctx, stopTimeout)
	defer cancel()
	err := s.process.stop(ctx, signals...)
	if s.guard != nil {
		err = errors.Join(err, s.guard.watch(0))
	}
	return err
}

// release gives up the directory. The guard of a temporary one stays, for it has yet to remove it.
func (s *server) release() error {
	if s.lock != nil {
		s.lock.unlock()
		s.lock = nil
	}
	if s.guard == nil || s.temporary {
		return nil
	}
	err := s.guard.close()
	s.guard = nil
	return err
}

// PID returns the process id of the running server, 0 if none is running.
func (s *server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.exited() {
		return 0
	}
	return s.process.pid()
}

// Done returns a channel that is closed when the server that was started last has ended, for whatever reason.
func (s *server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.done
}

// Port returns the server's TCP port on 127.0.0.1.
func (s *server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

func withDefaultTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}
