package doctor

import (
	"context"
	"fmt"
	"time"
)

// fewCheckpoints is how many a backup, a restart and a new database may ask for
// before anything follows from it.
const fewCheckpoints = 10

// moreWAL is how many times as much log is advised; where it is not enough, the
// next look says so.
const moreWAL = 4

// PostgreSQL 17 gave the checkpointer a view of its own.
const (
	checkpointsSQL         = `SELECT num_timed, num_requested, ` + checkpointSettings + ` FROM pg_stat_checkpointer`
	checkpointsBefore17SQL = `SELECT checkpoints_timed, checkpoints_req, ` + checkpointSettings + ` FROM pg_stat_bgwriter`

	checkpointSettings = `extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::float8,
    pg_size_bytes(current_setting('max_wal_size')) >> 20, current_setting('wal_compression')`
)

// checkpointer is how often a server has written everything down, and why.
type checkpointer struct {
	// counter is where PostgreSQL counts, as pg_stat_reset_shared calls it.
	counter string
	// timed came when they were due; requested before that, most often because
	// max_wal_size was reached.
	timed, requested int64
	// since is how long the server has counted.
	since time.Duration
	// maxWAL is max_wal_size in MB.
	maxWAL      int64
	compression string
}

// checkCheckpoints finds a server whose log is full before a checkpoint is due:
// after each, the first change of every page writes the whole page to the log.
func checkCheckpoints(ctx context.Context, p *patient) (verdict, error) {
	number, err := p.versionNumber(ctx)
	if err != nil {
		return verdict{}, err
	}
	c, sql := checkpointer{counter: "checkpointer"}, checkpointsSQL
	if number < 170000 {
		c.counter, sql = "bgwriter", checkpointsBefore17SQL
	}
	var seconds float64
	if err := p.row(ctx, sql).Scan(&c.timed, &c.requested, &seconds, &c.maxWAL, &c.compression); err != nil {
		return verdict{}, err
	}
	c.since = time.Duration(seconds * float64(time.Second))
	return c.judge(), nil
}

func (c checkpointer) judge() verdict {
	detail := fmt.Sprintf("%d of %s in %s came before they were due; max_wal_size is %d MB, wal_compression %s",
		c.requested, count(c.timed+c.requested, "checkpoint", "checkpoints"), span(c.since), c.maxWAL, c.compression)
	if c.requested <= max(c.timed, fewCheckpoints) {
		return ok("%s", detail)
	}
	advice := fmt.Sprintf("ALTER SYSTEM SET max_wal_size = '%dMB'; ", moreWAL*c.maxWAL)
	if c.compression == "off" {
		advice += "ALTER SYSTEM SET wal_compression = on; "
	}
	return warn(detail+": whole pages fill the log", advice+fmt.Sprintf(
		"SELECT pg_reload_conf(), pg_stat_reset_shared('%s'): the disk needs that much, and recovery after a crash takes longer", c.counter))
}
