package dbtest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/txn-service/txn/pkg/devstack"
)

// The servers of a test run. Empty or unset means a private server for this test binary.
const (
	databaseVariable = "TXN_TEST_DATABASE_URL"
	redisVariable    = "TXN_TEST_REDIS_URL"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
)

// sharedPostgres is the URL of the server that New uses. A private server is never stopped here: its guard does that
// when the process ends.
var sharedPostgres = sync.OnceValues(func() (string, error) {
	if address := os.Getenv(databaseVariable); address != "" {
		return address, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{})
	if err != nil {
		return "", err
	}
	return server.URL("postgres"), nil
})

var sharedRedis = sync.OnceValues(func() (string, error) {
	if address := os.Getenv(redisVariable); address != "" {
		return address, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := devstack.StartRedis(ctx, devstack.RedisOptions{NotifyKeyspaceEvents: keyspaceEvents})
	if err != nil {
		return "", err
	}
	return server.URL(), nil
})

// Server returns a PostgreSQL server for this test alone, which the test may stop, start and kill. It is removed with
// all its data at the end of the test. It has no migrated database yet: see NewOn.
func Server(t testing.TB) *devstack.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("remove the PostgreSQL of this test: %v", err)
		}
	})
	return server
}

// RedisServer returns a Redis server for this test alone, which the test may stop, start and kill. It is removed at the
// end of the test.
func RedisServer(t testing.TB) *devstack.Redis {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	server, err := devstack.StartRedis(ctx, devstack.RedisOptions{NotifyKeyspaceEvents: keyspaceEvents})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("remove the Redis of this test: %v", err)
		}
	})
	return server
}

// IgnoreServers tells goleak about the goroutines that wait for the private servers of this test binary, which live as
// long as the process.
func IgnoreServers() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/txn-service/txn/pkg/devstack.(*process).supervise")
}
