package dbtest_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

func redisClient(t *testing.T, address string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestRedisGivesEveryTestADatabase(t *testing.T) {
	t.Parallel()
	var addresses sync.Map
	t.Run("users", func(t *testing.T) {
		for i := range 16 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				address := dbtest.Redis(t)
				_, taken := addresses.LoadOrStore(address, true)
				require.False(t, taken)
				client := redisClient(t, address)
				require.NotZero(t, client.Options().DB, "database 0 keeps the claims")
				require.NoError(t, client.SetNX(t.Context(), "key", i, 0).Err())
				got, err := client.Get(t.Context(), "key").Result()
				require.NoError(t, err)
				require.Equal(t, strconv.Itoa(i), got)
			})
		}
	})
	addresses.Range(func(address, _ any) bool {
		size, err := redisClient(t, address.(string)).DBSize(t.Context()).Result()
		require.NoError(t, err)
		require.Zero(t, size, "a test leaves its keys")
		return true
	})
}

func TestRedisAnnouncesExpiredKeys(t *testing.T) {
	t.Parallel()
	client := redisClient(t, dbtest.Redis(t))
	subscription := client.PSubscribe(t.Context(), fmt.Sprintf("__keyevent@%d__:expired", client.Options().DB))
	defer subscription.Close()
	_, err := subscription.Receive(t.Context())
	require.NoError(t, err)
	require.NoError(t, client.Set(t.Context(), "hold", 1, 1).Err()) // rounds up to a millisecond
	message, err := subscription.ReceiveMessage(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hold", message.Payload)
}

func TestRedisServer(t *testing.T) {
	t.Parallel()
	server := dbtest.RedisServer(t)
	client := redisClient(t, server.URL())
	require.NoError(t, client.Ping(t.Context()).Err())
	require.NoError(t, server.StopImmediate(t.Context()))
	require.Error(t, client.Ping(t.Context()).Err())
	require.NoError(t, server.Start(t.Context()))
	require.NoError(t, client.Ping(t.Context()).Err())
}
