package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCheckpointsBeforeTheyAreDue asks for checkpoints as a full log does, and does
// what it is told then.
func TestCheckpointsBeforeTheyAreDue(t *testing.T) {
	t.Parallel()
	s := siteOn(t, durable(t, map[string]string{"fsync": "off"}))
	s.require("postgres.checkpoints", OK, "max_wal_size is 1024 MB")
	for range fewCheckpoints + 1 {
		s.exec(`CHECKPOINT`)
	}
	f := s.require("postgres.checkpoints", Warn, "whole pages fill the log")
	commands, _, _ := strings.Cut(f.Advice, ":")
	for _, command := range strings.Split(commands, ";") {
		s.exec(command)
	}
	f = s.require("postgres.checkpoints", OK, "max_wal_size is 4096 MB")
	require.NotContains(t, f.Detail, "wal_compression off")
}

func TestJudgeCheckpoints(t *testing.T) {
	t.Parallel()
	c := checkpointer{counter: "checkpointer", timed: 30, requested: 30, since: 3 * time.Hour, maxWAL: 1024, compression: "lz4"}
	require.Equal(t, OK, c.judge().status)
	c.requested++
	require.Equal(t, verdict{
		Warn, "31 of 61 checkpoints in 3h0m0s came before they were due; max_wal_size is 1024 MB, wal_compression lz4: whole pages fill the log",
		"ALTER SYSTEM SET max_wal_size = '4096MB'; SELECT pg_reload_conf(), pg_stat_reset_shared('checkpointer'): " +
			"the disk needs that much, and recovery after a crash takes longer",
	}, c.judge())
}
