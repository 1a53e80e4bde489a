package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/bench/internal/report"
)

// inOwnTemp makes everything that a run leaves behind visible: it must be
// nothing.
func inOwnTemp(t *testing.T) (requireClean func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "bench-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL may run as another user
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	t.Setenv("TMPDIR", dir)
	return func() {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Empty(t, left)
		require.Empty(t, processesIn(t, dir))
	}
}

// processesIn lists the command lines that name a directory (nothing where
// there is no /proc).
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(dir)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func parsed(t *testing.T, args ...string) settings {
	t.Helper()
	s, err := parse(args, io.Discard)
	require.NoError(t, err)
	s.Progress = t.Output()
	return s
}

// TestRun measures on real servers; the figures mean nothing in so short a time.
//
//nolint:paralleltest // sets TMPDIR
func TestRun(t *testing.T) {
	requireClean := inOwnTemp(t)
	var out bytes.Buffer
	s := parsed(t, "-rounds", "1", "-duration", "1s", "-events", "2000", "-stored", "2000",
		"-endpoints", "200", "-backlog", "2000", "-pending", "5000", "-o", "json",
		"-only", "limiter,replicas,filled,single,delivering,drain,drain-one,latency,latency-2000,paced-delivering,broadcast,blackhole,idle,pending")
	s.Slower = 20 // other tests may be running
	require.NoError(t, run(t.Context(), s, &out))
	requireClean()

	var measured report.Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &measured))
	require.Empty(t, measured.Missing)
	var names []string
	for _, result := range measured.Results {
		names = append(names, result.Name)
		require.Positive(t, result.Value, result.Name)
		if result.Yardstick != "" {
			require.Positive(t, result.Ratio, result.Name)
		}
		require.Equal(t, result.Goal == report.Goal{}, result.Met == nil, result.Name)
	}
	require.Subset(t, names, []string{
		"raw", "uniform", "limiter", "replicas", "empty", "filled", "raw-single", "single", "delivering", "river", "drain", "drain-one",
		"latency", "latency-2000", "paced", "paced-delivering", "broadcast", "broadcast-neighbour", "unharmed", "blackhole",
		"blackhole-updates", "idle", "pending",
	})
	require.NotZero(t, measured.Machine.Clients)
	require.NotEmpty(t, measured.Machine.Postgres)
}

//nolint:paralleltest // sets TMPDIR
func TestInterrupt(t *testing.T) {
	for name, step := range map[string]string{
		"while PostgreSQL starts": "PostgreSQL:",
		"while building":          "building api",
		"while pgbench runs":      "preparing raw",
		"while wrk runs":          "round 1/100  raw",
	} {
		t.Run(name, func(t *testing.T) {
			requireClean := inOwnTemp(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := parsed(t, "-only", "uniform", "-rounds", "100", "-duration", "2s")
			s.Progress = &interrupter{when: step, do: func() { time.AfterFunc(300*time.Millisecond, cancel) }}
			var out bytes.Buffer
			require.ErrorIs(t, run(ctx, s, &out), context.Canceled)
			require.Empty(t, out.String(), "half a report is none")
			requireClean()
		})
	}
}

// interrupter does something when the progress comes to a step.
type interrupter struct {
	when string
	do   func()
}

func (i *interrupter) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte(i.when)) {
		i.do()
	}
	return len(text), nil
}

func TestParse(t *testing.T) {
	t.Parallel()
	s := parsed(t)
	require.Equal(t, 5*time.Second, s.Duration)
	require.Equal(t, 3, s.Rounds)
	require.Equal(t, 40_000, s.Events)
	require.False(t, s.json)
	for _, args := range [][]string{
		{"-duration", "500ms"}, {"-duration", "1500ms"}, {"-rounds", "0"}, {"-events", "10"},
		{"-stored", "10"}, {"-backlog", "10"}, {"-pending", "10"}, {"-endpoints", "10"},
		{"-only", "fast"}, {"-o", "xml"}, {"more"}, {"-unknown"},
	} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), parsed(t, "-list"), &out))
	require.Regexp(t, `drain +river +≥ 1\.00×`, out.String())
}
