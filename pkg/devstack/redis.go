package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	redisLockFile = "redis.lock"
	redisLogFile  = "redis.log"
	// redisDatabases is enough for every test of a run to have a logical database of its own.
	redisDatabases = 4096
	pingTimeout    = time.Second
)

// RedisOptions say what StartRedis starts.
type RedisOptions struct {
	// Dir holds the log, and is made if missing. Empty means a temporary directory that Close removes, as does the end
	// of this process, however it ends.
	Dir string
	// Port is the TCP port on 127.0.0.1. 0 means any free one.
	Port int
	// NotifyKeyspaceEvents is Redis' setting of that name, such as "Ex" for expired keys. Empty means none.
	NotifyKeyspaceEvents string
	// Log receives a line for each step. Defaults to none. The server's own output goes to redis.log in Dir.
	Log io.Writer
}

// Redis is a private Redis server that keeps nothing on disk. Its methods may be called from several goroutines.
type Redis struct {
	opts      RedisOptions
	path      string
	dir       string
	temporary bool
	password  string

	mu      sync.Mutex // held for the whole of a start or stop
	port    int
	process *process // the last one started
	guard   *guard
	lock    *dirLock
}

// StartRedis starts a server and returns when it answers. Errors: ErrRedisNotFound; ErrInUse if another process runs
// one in this Dir; ErrPortTaken if the port asked for is not free.
func StartRedis(ctx context.Context, opts RedisOptions) (*Redis, error) {
	path, err := FindRedis()
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	r := &Redis{opts: opts, path: path, port: opts.Port, password: newPassword()}
	if err := r.makeDir(); err != nil {
		return nil, err
	}
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, r.Close(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func (r *Redis) makeDir() error {
	var err error
	if r.opts.Dir == "" {
		r.temporary = true
		r.dir, err = os.MkdirTemp("", "txn-redis-")
	} else if r.dir, err = filepath.Abs(r.opts.Dir); err == nil {
		err = os.MkdirAll(r.dir, reachableMode)
	}
	if err != nil {
		return fmt.Errorf("redis directory: %w", err)
	}
	return nil
}

// Start starts the server again after a stop or a crash, empty, on the same port and with the same password. It does
// nothing if the server is running. Errors as for StartRedis.
func (r *Redis) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil && !r.process.exited() {
		return nil
	}
	ctx, cancel := withDefaultTimeout(ctx, startTimeout)
	defer cancel()
	err := r.open()
	if err == nil {
		err = r.launch(ctx)
	}
	if err != nil {
		return errors.Join(err, r.release())
	}
	return nil
}

func (r *Redis) open() error {
	var err error
	if r.lock == nil {
		if r.lock, err = lockDir(filepath.Join(r.dir, redisLockFile)); err != nil {
			return err
		}
	}
	if r.guard == nil {
		doomed := ""
		if r.temporary {
			doomed = r.dir
		}
		r.guard, err = startGuard("TERM", doomed)
	}
	return err
}

func (r *Redis) launch(ctx context.Context) error {
	fixed := r.port != 0
	port := r.port
	var failure error
	for range startTries {
		if !fixed {
			var err error
			if port, err = FreePort(); err != nil {
				return err
			}
		}
		if failure = r.launchOn(ctx, port); failure == nil {
			r.port = port
			fmt.Fprintf(r.opts.Log, "Redis listens on %s\n", loopback(port))
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

func (r *Redis) launchOn(ctx context.Context, port int) error {
	log, err := openLog(filepath.Join(r.dir, redisLogFile))
	if err != nil {
		return err
	}
	defer log.close()
	cmd := exec.Command(r.path, "-") // configured on standard input: a command line would show the password to everyone
	cmd.Dir = r.dir
	cmd.Env = cleanEnv()
	cmd.Stdin = strings.NewReader(r.config(port))
	cmd.Stdout, cmd.Stderr = log.file, log.file
	started, err := startProcess(cmd, nil, syscall.SIGTERM)
	if err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	started.watchdog = r.guard
	r.process = started
	if err = r.guard.watch(started.pid()); err == nil {
		err = r.awaitReady(ctx, started, port)
	}
	if err != nil {
		err = fmt.Errorf("start Redis: %w; its log ends with:\n%s", err, log.tail())
		return errors.Join(err, r.end(context.WithoutCancel(ctx)))
	}
	return nil
}

func (r *Redis) config(port int) string {
	lines := []string{
		fmt.Sprintf("port %d", port),
		"bind 127.0.0.1",
		"requirepass " + r.password,
		fmt.Sprintf("databases %d", redisDatabases),
		`save ""`,
		"appendonly no",
		"daemonize no",
		fmt.Sprintf("notify-keyspace-events %q", r.opts.NotifyKeyspaceEvents),
	}
	return strings.Join(lines, "\n") + "\n"
}

func (r *Redis) awaitReady(ctx context.Context, started *process, port int) error {
	for {
		if r.answers(port) {
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

// answers reports whether the server with our password answers on the port; another one that took the port does not.
func (r *Redis) answers(port int) bool {
	conn, err := net.DialTimeout("tcp4", loopback(port), pingTimeout)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(pingTimeout)) // fails only on a closed connection
	const ok = "+OK\r\n"
	answer := make([]byte, len(ok))
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n", r.password); err != nil {
		return false
	}
	_, err = io.ReadFull(conn, answer)
	return err == nil && string(answer) == ok
}

// Stop ends the server; all that it held is gone. If ctx ends first (after a minute where it has no deadline) the server
// is killed, and an error says so. Stop does nothing if the server is not running.
func (r *Redis) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.end(ctx), r.release())
}

func (r *Redis) end(ctx context.Context) error {
	if r.process == nil {
		return nil
	}
	ctx, cancel := withDefaultTimeout(ctx, stopTimeout)
	defer cancel()
	err := r.process.stop(ctx, syscall.SIGTERM)
	if r.guard != nil {
		err = errors.Join(err, r.guard.watch(0))
	}
	return err
}

// release gives up the directory. The guard of a temporary one stays, for it has yet to remove it.
func (r *Redis) release() error {
	if r.lock != nil {
		r.lock.unlock()
		r.lock = nil
	}
	if r.guard == nil || r.temporary {
		return nil
	}
	err := r.guard.close()
	r.guard = nil
	return err
}

// Close stops the server like Stop and removes a temporary directory. It may be called more than once.
func (r *Redis) Close(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := errors.Join(r.end(ctx), r.release())
	if !r.temporary {
		return err
	}
	if r.guard != nil {
		err = errors.Join(err, r.guard.close())
		r.guard = nil
	}
	return errors.Join(err, os.RemoveAll(r.dir)) // for the case that somebody killed the guard
}

// URL returns the connection string of logical database 0. It contains the password: keep it out of logs.
func (r *Redis) URL() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	address := url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: loopback(r.port), Path: "/0"}
	return address.String()
}

// PID returns the process id of the running server, 0 if none is running.
func (r *Redis) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil || r.process.exited() {
		return 0
	}
	return r.process.pid()
}

// Done returns a channel that is closed when the server that runs now has ended, for whatever reason.
func (r *Redis) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process.done
}
