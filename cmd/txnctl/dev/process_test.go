package dev

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func startScript(t *testing.T, script string) *process {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "service")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o700))
	p, err := startProcess("service", program, filepath.Join(dir, "service.log"), os.Environ())
	require.NoError(t, err)
	return p
}

func TestProcessStopsWhenAsked(t *testing.T) {
	t.Parallel()
	p := startScript(t, "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done")
	require.Eventually(t, func() bool { return tail(p.log) == "up" }, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, p.stop(t.Context()))
	require.NoError(t, p.stop(t.Context()), "twice does no harm")
	info, err := os.Stat(p.log)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestProcessIsKilledWhenItDoesNotStop(t *testing.T) {
	t.Parallel()
	p := startScript(t, "trap '' TERM; echo up; while :; do sleep 0.05; done")
	require.Eventually(t, func() bool { return tail(p.log) == "up" }, 5*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.stop(ctx), context.DeadlineExceeded)
}

func TestFailedStartShowsTheLog(t *testing.T) {
	t.Parallel()
	p := startScript(t, "echo no database here; exit 3")
	err := awaitReady(t.Context(), p, "http://127.0.0.1:1/readyz")
	require.ErrorContains(t, err, "no database here")
	require.ErrorContains(t, err, "exit status 3")
	http.DefaultClient.CloseIdleConnections()
}

func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("a line of the log\n", 1000)+"the end\n"), 0o600))
	text := tail(path)
	require.LessOrEqual(t, len(text), tailSize)
	require.True(t, strings.HasPrefix(text, "a line"))
	require.True(t, strings.HasSuffix(text, "the end"))
}

func TestPartsStopInReverseOrder(t *testing.T) {
	t.Parallel()
	var stopped []string
	d := &stack{}
	for _, name := range []string{"database", "service", "client"} {
		d.add(name, func(context.Context) error {
			stopped = append(stopped, name)
			if name == "service" {
				return context.DeadlineExceeded
			}
			return nil
		})
	}
	require.ErrorContains(t, d.stop(t.Context()), "stopping service")
	require.Equal(t, []string{"client", "service", "database"}, stopped, "one failure does not keep the others")
}

func TestEnvironmentOfTheServices(t *testing.T) {
	t.Setenv("TXN_DATABASE_LISTEN_URL", "postgres://somebody-else")
	t.Setenv("TXN_SECURITY_ENCRYPTION_KEYS", "not ours")
	t.Setenv("TXN_WEBHOOKS_RETRY_SCHEDULE", "1s,2s")
	d := &stack{listen: "127.0.0.1:1", databaseURL: "postgres://ours", state: &state{EncryptionKey: "ours"}}
	env := d.environment("127.0.0.1:2", "127.0.0.1:3")
	require.Contains(t, env, "TXN_WEBHOOKS_RETRY_SCHEDULE=1s,2s")
	require.Contains(t, env, "TXN_DATABASE_URL=postgres://ours")
	require.Contains(t, env, "TXN_RATE_LIMIT_PER_IP=")
	require.Contains(t, env, "PATH="+os.Getenv("PATH"))
	joined := strings.Join(env, "\n")
	require.NotContains(t, joined, "somebody-else")
	require.NotContains(t, joined, "not ours")
}
