package doctor

import (
	"context"
	"fmt"
	"time"
)

// Both look at this database only: what is open elsewhere keeps no row of ours
// from being vacuumed. Sessions of other roles are visible with pg_read_all_stats.
const (
	longSQL = `SELECT count(*), coalesce((max(extract(epoch FROM now() - xact_start)))::float8, 0),
    coalesce((array_agg(pid ORDER BY xact_start))[1], 0), coalesce((array_agg(application_name ORDER BY xact_start))[1], ''),
    (SELECT count(*) FROM pg_stat_activity h WHERE h.datname = current_database() AND h.query = '<insufficient privilege>')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state NOT LIKE 'idle in transaction%'
    AND backend_type = 'client backend' AND xact_start < now() - make_interval(secs => $1)`
	idleSQL = `SELECT count(*), coalesce((max(extract(epoch FROM now() - state_change)))::float8, 0),
    coalesce((array_agg(pid ORDER BY state_change))[1], 0), coalesce((array_agg(application_name ORDER BY state_change))[1], ''),
    (SELECT count(*) FROM pg_stat_activity h WHERE h.datname = current_database() AND h.query = '<insufficient privilege>')
FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND state_change < now() - make_interval(secs => $1)`
)

// sessions are those that have been in a state for too long.
type sessions struct {
	number  int64
	longest time.Duration
	// pid and application are those of the oldest.
	pid         int32
	application string
	// hidden are sessions whose state this role may not see.
	hidden int64
}

func (p *patient) sessions(ctx context.Context, sql string, limit time.Duration) (sessions, error) {
	var s sessions
	var seconds float64
	err := p.row(ctx, sql, limit.Seconds()).Scan(&s.number, &seconds, &s.pid, &s.application, &s.hidden)
	s.longest = time.Duration(seconds * float64(time.Second))
	return s, err
}

// describe says which; unseen is a remark on what could not be seen.
func (s sessions) describe() string {
	return fmt.Sprintf("%s; the longest is pid %d (%s), since %s",
		count(s.number, "session", "sessions"), s.pid, orUnnamed(s.application), span(s.longest))
}

func (s sessions) unseen() string {
	if s.hidden == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of other roles not visible (GRANT pg_read_all_stats)", count(s.hidden, "session is", "sessions are"))
}

func orUnnamed(application string) string {
	if application == "" {
		return "unnamed"
	}
	return application
}

// checkLongTransactions finds transactions that have been working for long.
func checkLongTransactions(ctx context.Context, p *patient) (verdict, error) {
	s, err := p.sessions(ctx, longSQL, p.LongTransaction)
	if err != nil {
		return verdict{}, err
	}
	if s.number > 0 {
		return warn(s.describe()+s.unseen(), fmt.Sprintf(
			"dead rows pile up behind it: let a backup or a migration finish, end anything else: SELECT pg_terminate_backend(%d)", s.pid)), nil
	}
	return ok("none longer than %s%s", span(p.LongTransaction), s.unseen()), nil
}

// checkIdleTransactions finds transactions that wait for a client who has gone to
// lunch, with all their locks.
func checkIdleTransactions(ctx context.Context, p *patient) (verdict, error) {
	s, err := p.sessions(ctx, idleSQL, p.IdleTransaction)
	if err != nil {
		return verdict{}, err
	}
	if s.number > 0 {
		return warn(s.describe()+s.unseen(), fmt.Sprintf(
			"whoever holds it keeps locks: SELECT pg_terminate_backend(%d), and set idle_in_transaction_session_timeout", s.pid)), nil
	}
	return ok("none idle for longer than %s%s", span(p.IdleTransaction), s.unseen()), nil
}

// checkPreparedTransactions finds transactions that no session holds any more.
// txn prepares none, so whatever is there was forgotten or is another program's.
func checkPreparedTransactions(ctx context.Context, p *patient) (verdict, error) {
	var number int64
	var oldest string
	err := p.row(ctx, `SELECT count(*), coalesce((array_agg(gid ORDER BY prepared))[1], '') FROM pg_prepared_xacts
		WHERE database = current_database()`).Scan(&number, &oldest)
	if err != nil {
		return verdict{}, err
	}
	if number > 0 {
		return warn(fmt.Sprintf("%s; the oldest is %q", count(number, "prepared transaction", "prepared transactions"), oldest),
			"they keep locks and survive restarts: find out whose they are, then COMMIT PREPARED or ROLLBACK PREPARED"), nil
	}
	return ok("none"), nil
}
