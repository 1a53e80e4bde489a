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
	"syscall"
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
	server

	opts    PostgresOptions
	cluster *cluster
}

// StartPostgres makes the cluster if there is none and starts the server. It returns when the server accepts
// connections, or with the end of its log if it does not come up. Errors: ErrPostgresNotFound; ErrInUse if another
// process runs this DataDir; ErrPortTaken if the port asked for is not free.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	p := &Postgres{opts: opts}
	p.server = server{
		program: p, title: "PostgreSQL", name: "postgres", log: opts.Log, port: opts.Port,
		graceful:  syscall.SIGINT, // "fast": open transactions are rolled back, a checkpoint is written
		immediate: syscall.SIGQUIT,
	}
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
		p.dir, err = tempDir(who, install.binDir, "txn-postgres-")
		return err
	}
	dir, err := filepath.Abs(p.opts.DataDir)
	if err == nil {
		err = os.MkdirAll(dir, reachableMode)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	p.dir = dir
	return nil
}

func (p *Postgres) prepare(ctx context.Context) error {
	if p.cluster == nil {
		fmt.Fprintf(p.log, "PostgreSQL: opening the cluster of %s\n", p.dir)
		opened, err := openCluster(ctx, p.dir, p.opts.Durable)
		if err != nil {
			return err
		}
		p.cluster = opened
		p.wish = opened.state.Port
	}
	return stopLeftover(ctx, p.cluster.pgdata())
}

func (p *Postgres) command(port int) (*exec.Cmd, *syscall.Credential) {
	cmd := exec.Command(filepath.Join(p.cluster.install.binDir, "postgres"), p.args(port)...)
	cmd.Dir = p.cluster.state.Location
	return cmd, p.cluster.who.credential
}

// ready asks what pg_ctl asks: the server's own word in its pid file.
func (p *Postgres) ready(pid, port int) bool {
	found := readPostmaster(p.cluster.pgdata())
	if !found.ready || found.pid != pid {
		return false
	}
	if p.cluster.state.Port != port {
		p.cluster.state.Port = port
		// Only a hint for the next start: connection strings that people copied stay valid.
		_ = p.cluster.state.save(p.dir)
	}
	return true
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

// URL returns the connection string of a database of this server. It contains the password: keep it out of logs.
func (p *Postgres) URL(database string) string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, p.cluster.state.Password),
		Host:     loopback(p.Port()),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}
