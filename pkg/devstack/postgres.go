package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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

// PostgresOptions say what StartPostgres starts.
type PostgresOptions struct {
	// DataDir holds the cluster, its log and its password, and is made if missing. Empty means a temporary directory
	// that Close removes, as does the end of this process, however it ends.
	DataDir string
	// Port is the TCP port on 127.0.0.1. 0 means the port of the last start on DataDir if it is free, else any.
	Port int
	// Durable keeps PostgreSQL's own defaults, so that committed data survive a crash. Without it nothing is synced to
	// disk (commit semantics stay as they are; only a crash of the machine loses data) and there are connections enough
	// for a run of parallel tests.
	Durable bool
	// Settings are configuration parameters that go before the defaults of this package.
	Settings map[string]string
	// Log receives a line for each step that takes time. Defaults to none. The server's own output goes to postgres.log
	// in DataDir.
	Log io.Writer
}

// Postgres is a private PostgreSQL server. Its methods may be called from several goroutines.
type Postgres struct {
	opts      PostgresOptions
	dataDir   string
	temporary bool

	mu      sync.Mutex // held for the whole of a start or stop
	cluster *cluster
	port    int
	process *process // the last one started
	guard   *guard
	lock    *dirLock
}

// StartPostgres makes the cluster if there is none and starts the server. It returns when the server accepts
// connections, or with the end of its log if it does not come up. Errors: ErrPostgresNotFound; ErrInUse if another
// process runs this DataDir; ErrPortTaken if the port asked for is not free.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	p := &Postgres{opts: opts, port: opts.Port}
	if err := p.makeDataDir(); err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *Postgres) makeDataDir() error {
	if p.opts.DataDir == "" {
		install, err := findPostgres(0)
		if err != nil {
			return err
		}
		who, err := serverAccount("")
		if err != nil {
			return err
		}
		p.temporary = true
		p.dataDir, err = tempDir(who, install.binDir, "txn-postgres-")
		return err
	}
	dir, err := filepath.Abs(p.opts.DataDir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	p.dataDir = dir
	if err := os.MkdirAll(dir, reachableMode); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// Start starts the server again after a stop or a crash, on the same port and the same data. It does nothing if the
// server is running. Errors as for StartPostgres.
func (p *Postgres) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil && !p.process.exited() {
		return nil
	}
	ctx, cancel := withDefaultTimeout(ctx, startTimeout)
	defer cancel()
	if p.lock == nil {
		lock, err := lockDir(filepath.Join(p.dataDir, lockFile))
		if err != nil {
			return err
		}
		p.lock = lock
	}
	err := p.open(ctx)
	if err == nil {
		err = p.launch(ctx)
	}
	if err != nil {
		return errors.Join(err, p.release())
	}
	return nil
}

// open brings the directory into a state that a server can start on.
func (p *Postgres) open(ctx context.Context) error {
	if p.guard == nil {
		var err error
		if p.guard, err = startGuard(p.guardArgs()); err != nil {
			return err
		}
	}
	if p.cluster == nil {
		fmt.Fprintf(p.opts.Log, "PostgreSQL: opening the cluster of %s\n", p.dataDir)
		opened, err := openCluster(ctx, p.dataDir, p.opts.Durable)
		if err != nil {
			return err
		}
		p.cluster = opened
	}
	return stopLeftover(ctx, p.cluster.pgdata())
}

func (p *Postgres) guardArgs() (signal, temporary string) {
	if p.temporary {
		return "QUIT", p.dataDir // its data are lost anyway
	}
	return "INT", ""
}

// launch tries a few times: a port that was free may be taken a moment later, and the processes of a server that was
// killed hold its shared memory for a moment longer.
func (p *Postgres) launch(ctx context.Context) error {
	fixed := p.port != 0
	port := p.port
	var failure error
	for range startTries {
		if !fixed {
			var err error
			if port, err = p.choosePort(); err != nil {
				return err
			}
		}
		if failure = p.launchOn(ctx, port); failure == nil {
			p.port = port
			fmt.Fprintf(p.opts.Log, "PostgreSQL %d listens on %s\n", p.cluster.install.major, loopback(port))
			p.cluster.state.Port = port
			return p.cluster.state.save(p.dataDir)
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

func (p *Postgres) choosePort() (int, error) {
	if last := p.cluster.state.Port; last != 0 && !portTaken(last) {
		return last, nil
	}
	return FreePort()
}

func (p *Postgres) launchOn(ctx context.Context, port int) error {
	log, err := openLog(filepath.Join(p.dataDir, logFile))
	if err != nil {
		return err
	}
	defer log.close()
	onDeath := syscall.SIGINT // fast shutdown: a clean one
	if p.temporary {
		onDeath = syscall.SIGQUIT
	}
	cmd := exec.Command(filepath.Join(p.cluster.install.binDir, "postgres"), p.args(port)...)
	cmd.Dir = p.cluster.state.Location
	cmd.Env = cleanEnv()
	cmd.Stdout, cmd.Stderr = log.file, log.file
	started, err := startProcess(cmd, p.cluster.who.credential, onDeath)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	started.watchdog = p.guard
	p.process = started
	if err := p.guard.watch(started.pid()); err != nil {
		return errors.Join(err, p.abandon(ctx))
	}
	if err := p.awaitReady(ctx, started); err != nil {
		err = fmt.Errorf("start PostgreSQL: %w; its log ends with:\n%s", err, log.tail())
		return errors.Join(err, p.abandon(ctx))
	}
	return nil
}

// abandon ends a server that did not come up, even when that is because ctx has ended.
func (p *Postgres) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	return p.end(ctx, syscall.SIGQUIT)
}

// awaitReady waits for what pg_ctl waits for: the server's own word in its pid file.
func (p *Postgres) awaitReady(ctx context.Context, started *process) error {
	for {
		if found := readPostmaster(p.cluster.pgdata()); found.ready && found.pid == started.pid() {
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

func (p *Postgres) args(port int) []string {
	settings := map[string]string{
		"log_timezone":    "UTC",
		"max_connections": "200",
		"timezone":        "UTC",
	}
	if !p.opts.Durable {
		settings["autovacuum"] = "on"
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
		settings["max_connections"] = strconv.Itoa(max(400, 64*runtime.NumCPU()))
		settings["shared_buffers"] = "128MB"
		settings["synchronous_commit"] = "on"
	}
	maps.Copy(settings, p.opts.Settings)
	// Not open to settings: the server is private.
	settings["listen_addresses"] = "127.0.0.1"
	settings["port"] = strconv.Itoa(port)
	settings["unix_socket_directories"] = ""
	args := []string{"-D", p.cluster.pgdata()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// Stop shuts the server down in order (fast: open transactions are rolled back, a checkpoint is written) and gives the
// directory free. If ctx ends first (after a minute where it has no deadline) the server is ended at once, which a later
// start recovers from, and an error says so. Stop does nothing if the server is not running.
func (p *Postgres) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.end(ctx, syscall.SIGINT, syscall.SIGQUIT), p.release())
}

// StopImmediate ends the server at once, without a checkpoint, as a crash would: connections break off and the next
// start goes through crash recovery.
func (p *Postgres) StopImmediate(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.end(ctx, syscall.SIGQUIT), p.release())
}

func (p *Postgres) end(ctx context.Context, signals ...syscall.Signal) error {
	if p.process == nil {
		return nil
	}
	ctx, cancel := withDefaultTimeout(ctx, stopTimeout)
	defer cancel()
	err := p.process.stop(ctx, signals...)
	if p.guard != nil {
		err = errors.Join(err, p.guard.watch(0))
	}
	return err
}

// release gives up the directory. The guard of a temporary one stays, for it has yet to remove it.
func (p *Postgres) release() error {
	if p.lock != nil {
		p.lock.unlock()
		p.lock = nil
	}
	if p.guard == nil || p.temporary {
		return nil
	}
	err := p.guard.close()
	p.guard = nil
	return err
}

// Close stops the server like Stop and removes a temporary data directory. It may be called more than once.
func (p *Postgres) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}
	if p.temporary {
		signals = signals[1:]
	}
	err := errors.Join(p.end(ctx, signals...), p.release())
	if !p.temporary {
		return err
	}
	if p.guard != nil {
		err = errors.Join(err, p.guard.close())
		p.guard = nil
	}
	return errors.Join(err, os.RemoveAll(p.dataDir)) // for the case that somebody killed the guard
}

// URL returns the connection string of a database of this server. It contains the password: keep it out of logs.
func (p *Postgres) URL(database string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, p.cluster.state.Password),
		Host:     loopback(p.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// PID returns the process id of the running server, 0 if none is running.
func (p *Postgres) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil || p.process.exited() {
		return 0
	}
	return p.process.pid()
}

// Done returns a channel that is closed when the server that runs now has ended, for whatever reason.
func (p *Postgres) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.done
}

func withDefaultTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}
