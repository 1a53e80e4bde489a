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
	// Postgres are settings of every PostgreSQL beyond the defaults.
	Postgres map[string]string
}

// Stack is the running servers and processes. Its methods, and those of the
// Cluster in it, may be called from several goroutines.
type Stack struct {
	// Cluster is where everything is measured.
	*Cluster

	options Options
	dir     string
	bin     *binaries
	binDir  string

	mu       sync.Mutex
	aside    []*Cluster
	redis    *devstack.Redis
	services []*Service
	peaks    map[string]int64 // of the whole run
	recent   map[string]int64 // since ResetPeaks
}

// Start installs what is missing where that needs no question, and starts
// PostgreSQL with its default durability. Close ends it, also after an error.
func Start(ctx context.Context, options Options) (*Stack, error) {
	s := &Stack{options: options, peaks: map[string]int64{}, recent: map[string]int64{}}
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
	s.Cluster, err = startCluster(ctx, options.Progress, options.Postgres)
	return s, err
}

// StartCluster starts another PostgreSQL beside the first, for what needs
// settings that would change the others' figures.
func (s *Stack) StartCluster(ctx context.Context, settings map[string]string) (*Cluster, error) {
	c, err := startCluster(ctx, s.options.Progress, s.options.Postgres, settings)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aside = append(s.aside, c)
	return c, nil
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
	for _, c := range append(s.aside, s.Cluster) {
		if c != nil {
			failures = append(failures, c.postgres.Close(ctx))
		}
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
