package devstack

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func startRedis(t *testing.T, opts RedisOptions) *Redis {
	t.Helper()
	server, err := StartRedis(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.Background())) })
	return server
}

func redisClient(t *testing.T, address string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t, RedisOptions{NotifyKeyspaceEvents: "Ex"})
	client := redisClient(t, server.URL())
	for setting, want := range map[string]string{
		"save": "", "appendonly": "no", "bind": "127.0.0.1", "notify-keyspace-events": "xE",
	} {
		got, err := client.ConfigGet(t.Context(), setting).Result()
		require.NoError(t, err)
		require.Equal(t, want, got[setting], setting)
	}

	address, err := url.Parse(server.URL())
	require.NoError(t, err)
	address.User = nil
	require.ErrorContains(t, redisClient(t, address.String()).Ping(t.Context()).Err(), "NOAUTH")

	pid := server.PID()
	require.NotContains(t, commandLine(pid), server.password)
	require.NoError(t, server.Close(context.Background()))
	require.False(t, alive(pid))
	require.NoDirExists(t, server.dir)
}

func TestRedisRestartKeepsItsPort(t *testing.T) {
	t.Parallel()
	server := startRedis(t, RedisOptions{})
	address := server.URL()
	for name, stop := range map[string]func(context.Context) error{
		"in order": server.Stop, "immediate": server.StopImmediate,
	} {
		client := redisClient(t, address)
		require.NoError(t, client.Set(t.Context(), "key", "value", 0).Err(), name)
		pid := server.PID()
		require.NoError(t, stop(t.Context()), name)
		require.False(t, alive(pid), name)
		require.Zero(t, server.PID(), name)
		require.NoError(t, server.Start(t.Context()), name)
		require.Equal(t, address, server.URL(), name)
		require.ErrorIs(t, redisClient(t, address).Get(t.Context(), "key").Err(), redis.Nil, name)
	}
}

func TestRedisRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startRedis(t, RedisOptions{Dir: dir})
	_, err := StartRedis(t.Context(), RedisOptions{Dir: dir})
	require.ErrorIs(t, err, ErrInUse)

	_, err = StartRedis(t.Context(), RedisOptions{Port: server.Port()})
	require.ErrorIs(t, err, ErrPortTaken)
	require.NoError(t, redisClient(t, server.URL()).Ping(t.Context()).Err())

	_, err = StartRedis(t.Context(), RedisOptions{NotifyKeyspaceEvents: "?"})
	require.ErrorContains(t, err, "notify-keyspace-events", "the end of the log is missing")
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	var port int
	require.Eventually(t, func() bool { // somebody else may take it at once
		var err error
		port, err = FreePort()
		return err == nil && !portTaken(port)
	}, 5*time.Second, time.Millisecond)
	if listener, err := net.Listen("tcp4", loopback(port)); err == nil {
		defer listener.Close()
	}
	require.True(t, portTaken(port), "by us or somebody else")
}
