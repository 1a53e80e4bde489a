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
	"syscall"
	"time"
)

const (
	// redisDatabases is enough for every test that runs at the same time to have a logical database of its own. Redis
	// looks for expired keys in 16 databases per tick: with these two it gets around to each every 80 ms, while 4096
	// databases at the usual 10 ticks a second made a test wait 25 s for an expiry event.
	redisDatabases = 128
	redisTicks     = 100 // per second
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

// Redis is a private Redis server that keeps nothing on disk: a stop loses what it held. Its methods may be called from
// several goroutines.
type Redis struct {
	server

	opts     RedisOptions
	path     string
	password string
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
	r := &Redis{opts: opts, path: path, password: newPassword()}
	r.server = server{
		program: r, title: "Redis", name: "redis", log: opts.Log, port: opts.Port,
		graceful: syscall.SIGTERM, immediate: syscall.SIGKILL,
	}
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

func (r *Redis) prepare(context.Context) error { return nil }

// command configures the server on standard input: a command line would show the password to everyone.
func (r *Redis) command(port int) (*exec.Cmd, *syscall.Credential) {
	cmd := exec.Command(r.path, "-")
	cmd.Dir = r.dir
	cmd.Stdin = strings.NewReader(strings.Join([]string{
		fmt.Sprintf("port %d", port),
		"bind 127.0.0.1",
		"requirepass " + r.password,
		fmt.Sprintf("databases %d", redisDatabases),
		fmt.Sprintf("hz %d", redisTicks),
		`save ""`,
		"appendonly no",
		"daemonize no",
		fmt.Sprintf("notify-keyspace-events %q", r.opts.NotifyKeyspaceEvents),
		"",
	}, "\n"))
	return cmd, nil
}

// ready logs in: another server that took the port in the meantime does not know the password.
func (r *Redis) ready(_, port int) bool {
	conn, err := net.DialTimeout("tcp4", loopback(port), pingTimeout)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(pingTimeout)) // fails only on a closed connection
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n", r.password); err != nil {
		return false
	}
	const welcome = "+OK\r\n"
	answer := make([]byte, len(welcome))
	_, err = io.ReadFull(conn, answer)
	return err == nil && string(answer) == welcome
}

// URL returns the connection string of logical database 0. It contains the password: keep it out of logs.
func (r *Redis) URL() string {
	address := url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: loopback(r.Port()), Path: "/0"}
	return address.String()
}
