package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/disclosure"
)

const (
	// keyspaceEvents makes the servers announce expired keys.
	keyspaceEvents = "Ex"
	// claimFor is how long a logical database stays taken if its test never gives it back.
	claimFor     = time.Hour
	claimTimeout = time.Minute
	claimPause   = 50 * time.Millisecond
)

// Redis returns the URL of a logical Redis database that is empty and belongs to this test alone; it is flushed at the
// end of the test. Keyspace notifications of expired keys are on and carry the database's number in their channel
// (`__keyevent@<n>__:expired`). The test must not change the server: see RedisServer.
func Redis(t testing.TB) (address string) {
	t.Helper()
	server, err := sharedRedis()
	require.NoError(t, err)
	require.NoError(t, disclosure.RecordPassword(server))
	options, err := redis.ParseURL(server)
	require.NoError(t, err, redisVariable)
	ctx, cancel := context.WithTimeout(t.Context(), claimTimeout)
	defer cancel()
	number, err := claimRedis(ctx, *options)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
		defer cancel()
		if err := freeRedis(ctx, *options, number); err != nil {
			t.Errorf("give back Redis database %d: %v", number, err)
		}
	})
	parsed, err := url.Parse(server)
	require.NoError(t, err)
	parsed.Path = "/" + strconv.Itoa(number)
	return parsed.String()
}

func claimKey(number int) string { return "dbtest:claim:" + strconv.Itoa(number) }

// claimRedis takes a logical database that no other test has. Claims are keys of database 0, which is never given out.
func claimRedis(ctx context.Context, options redis.Options) (int, error) {
	options.DB = 0
	client := redis.NewClient(&options)
	defer client.Close()
	settings, err := client.ConfigGet(ctx, "databases").Result()
	if err != nil {
		return 0, fmt.Errorf("redis: %w", err)
	}
	count, err := strconv.Atoi(settings["databases"])
	if err != nil || count < 2 {
		return 0, fmt.Errorf("redis: %s has no logical databases to give to tests", redisVariable)
	}
	for {
		for range count - 1 {
			next, err := client.Incr(ctx, "dbtest:next").Result()
			if err != nil {
				return 0, fmt.Errorf("redis: %w", err)
			}
			number := 1 + int(next%int64(count-1))
			if claimed, err := claimNumber(ctx, client, options, number); err != nil || claimed {
				return number, err
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("redis: all %d logical databases are in use: %w", count-1, ctx.Err())
		case <-time.After(claimPause):
		}
	}
}

// claimNumber refuses a database that holds keys: a server named by the environment may hold somebody's data.
func claimNumber(ctx context.Context, client *redis.Client, options redis.Options, number int) (bool, error) {
	claimed, err := client.SetNX(ctx, claimKey(number), 1, claimFor).Result()
	if err != nil || !claimed {
		return false, err
	}
	options.DB = number
	target := redis.NewClient(&options)
	defer target.Close()
	size, err := target.DBSize(ctx).Result()
	return size == 0, err
}

func freeRedis(ctx context.Context, options redis.Options, number int) error {
	options.DB = number
	target := redis.NewClient(&options)
	defer target.Close()
	if err := target.FlushDB(ctx).Err(); err != nil {
		return err
	}
	options.DB = 0
	client := redis.NewClient(&options)
	return errors.Join(client.Del(ctx, claimKey(number)).Err(), client.Close())
}
