package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/txn-service/txn/pkg/devstack"
)

// Options say what Start starts.
type Options struct {
	// Progress receives a line for each step that takes time.
	Progress io.Writer
	// Keep leaves the services' logs behind when the stack is closed.
	Keep bool
}

// Stack is the running servers and processes. Its methods may be called from
// several goroutines.
type Stack struct {
	options  Options
	dir      string
	bin      *binaries
	postgres *devstack.Postgres
	binDir   string

	mu       sync.Mutex
	redis    *devstack.Redis
	services []*Service
	peaks    map[string]int64
	template bool
}

// Start installs what is missing where that needs no question, and starts
// PostgreSQL with its default durability. Close ends it, also after an error.
func Start(ctx context.Context, options Options) (*Stack, error) {
	s := &Stack{options: options, peaks: map[string]int64{}}
	if err := devstack.Install(ctx, devstack.SoftwarePostgres, options.Progress); err != nil {
		return s, err
	}
	var err error
	if s.binDir, err = devstack.FindPostgres(); err != nil {
		return s, err
	}
	if s.dir, err = os.MkdirTemp("", "txn-bench-"); err != nil {
		return s, err
	}
	if s.bin, err = newBinaries(ctx, s.dir, options.Progress); err != nil {
		return s, err
	}
	// No DataDir: devstack's own temporary directory goes away even if this
	// process is killed.
	s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{
		Durable:  true,
		Settings: map[string]string{"shared_buffers": "1GB", "max_connections": "200"},
		Log:      options.Progress,
	})
	return s, err
}

// Dir is a directory for files that go away with the stack.
func (s *Stack) Dir() string { return s.dir }

// PostgresBinDir holds the server's programs, where pgbench usually is.
func (s *Stack) PostgresBinDir() string { return s.binDir }

// RedisURL starts Redis the first time it is asked for.
func (s *Stack) RedisURL(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.redis == nil {
		if err := devstack.Install(ctx, devstack.SoftwareRedis, s.options.Progress); err != nil {
			return "", err
		}
		redis, err := devstack.StartRedis(ctx, devstack.RedisOptions{Log: s.options.Progress})
		if err != nil {
			return "", err
		}
		s.redis = redis
	}
	return s.redis.URL(), nil
}

// Close stops the services, then the servers, and removes all files; with Keep
// it leaves the directory of the logs and says where it is.
func (s *Stack) Close(ctx context.Context) error {
	var failures []error
	for _, service := range s.running() {
		failures = append(failures, service.Stop(ctx))
	}
	if s.redis != nil {
		failures = append(failures, s.redis.Close(ctx))
	}
	if s.postgres != nil {
		failures = append(failures, s.postgres.Close(ctx))
	}
	if s.options.Keep && s.dir != "" {
		fmt.Fprintf(s.options.Progress, "logs are in %s\n", s.dir)
	} else if s.dir != "" {
		failures = append(failures, os.RemoveAll(s.dir))
	}
	return errors.Join(failures...)
}

func (s *Stack) running() []*Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Service(nil), s.services...)
}
