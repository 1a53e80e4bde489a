package doctor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/outbox"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Equal(t, OK, newSite(t).examine()["postgres.version"].Status)
	require.Equal(t, Fail, judgeVersion(130018).status)
	require.Equal(t, OK, judgeVersion(140000).status)
}

// TestServerSettings changes a durable server's settings one by one, as ALTER
// SYSTEM does, and sees the advice undo it.
func TestServerSettings(t *testing.T) {
	t.Parallel()
	s := siteOn(t, durable(t, map[string]string{"max_prepared_transactions": "2"}))
	for setting, c := range map[string]struct {
		check  string
		status Status
	}{
		"fsync":              {"postgres.fsync", Fail},
		"full_page_writes":   {"postgres.full_page_writes", Fail},
		"synchronous_commit": {"postgres.synchronous_commit", Warn},
		"autovacuum":         {"postgres.vacuum", Fail},
		"track_counts":       {"postgres.vacuum", Fail},
	} {
		s.exec(`ALTER SYSTEM SET ` + setting + ` = off`)
		s.exec(`SELECT pg_reload_conf()`)
		f := s.require(c.check, c.status, "off")
		require.Contains(t, f.Advice, "ALTER SYSTEM SET "+setting+" = on")
		s.exec(`ALTER SYSTEM RESET ` + setting)
		s.exec(`SELECT pg_reload_conf()`)
		s.require(c.check, OK, "")
	}
	archiving := s.examine()["postgres.archiving"]
	require.Equal(t, OK, archiving.Status)
	require.Contains(t, archiving.Detail, "archive_mode off")

	tx, err := s.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO businesses (id, name) VALUES (gen_random_uuid(), 'Acme'); PREPARE TRANSACTION 'forgotten'`)
	require.NoError(t, err)
	_ = tx.Rollback(t.Context()) // it is no longer this session's
	s.require("postgres.prepared", Warn, `"forgotten"`)
	s.exec(`ROLLBACK PREPARED 'forgotten'`)
	s.require("postgres.prepared", OK, "none")
}

func TestChecksumsThatAreOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var on bool
	require.NoError(t, s.Pool.QueryRow(t.Context(), `SELECT current_setting('data_checksums')::boolean`).Scan(&on))
	if on {
		t.Skip("the installed PostgreSQL makes clusters with checksums")
	}
	s.require("postgres.data_checksums", Warn, "off")
}

func TestConnectionBudget(t *testing.T) {
	t.Parallel()
	// 17 for everybody without privileges; a process may take 5, as configured here.
	s := siteOn(t, durable(t, map[string]string{"max_connections": "20"}))
	s.pool("txn-api", 6)
	f := s.require("postgres.connections", OK, "2 APIs and 0 dispatchers may take up to 10")
	require.Contains(t, f.Detail, "of 17 in use")
	s.pool("txn-dispatcher", 1)
	s.pool(outbox.ListenerName, 1)
	s.require("postgres.connections", OK, "2 APIs and 1 dispatcher may take up to 16 (database.max_open_conns is 5), everybody else takes 0")
	s.pool("reports", 2)
	s.require("postgres.connections", Warn, "everybody else takes 2")
	s.pool("more reports", 5)
	s.require("postgres.connections", Fail, "about to be refused")

	// The server counts sessions that are on their way out; so once more, exactly.
	exact := budget{available: 17, used: 11, apis: 2, dispatchers: 1, theirs: 8, perProcess: 5}
	require.Equal(t, Warn, exact.judge().status)
	exact.used--
	require.Equal(t, OK, exact.judge().status)
}

func TestClocksApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	shift := func(by time.Duration) { s.options.Now = func() time.Time { return time.Now().Add(by) } }
	s.require("postgres.clock", OK, "this machine")
	shift(10 * time.Second)
	s.require("postgres.clock", Warn, "behind this machine")
	shift(-10 * time.Second)
	s.require("postgres.clock", Warn, "ahead of this machine")
	shift(10 * time.Minute)
	s.require("postgres.clock", Fail, "10m0s behind")
	require.Equal(t, OK, judgeSkew(3*time.Second, 3*time.Second).status, "a slow answer proves nothing")
}

func TestSessionsInTheWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.require("postgres.long_transactions", OK, "none longer than 5m0s")
	s.require("postgres.idle_transactions", OK, "none idle for longer than 1m0s")

	s.options.IdleTransaction, s.options.LongTransaction = time.Millisecond, time.Millisecond
	idle := connection(t, s.URL, "lunch")
	_, err := idle.Exec(t.Context(), `BEGIN`)
	require.NoError(t, err)
	f := s.require("postgres.idle_transactions", Warn, "(lunch)")
	require.Contains(t, f.Advice, "pg_terminate_backend(")
	require.Equal(t, OK, s.examine()["postgres.long_transactions"].Status, "one finding for one session")
	_, err = idle.Exec(t.Context(), `ROLLBACK`)
	require.NoError(t, err)
	s.require("postgres.idle_transactions", OK, "")

	long := connection(t, s.URL, "report")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = long.Exec(ctx, `SELECT pg_sleep(600)`)
	}()
	s.require("postgres.long_transactions", Warn, "(report)")
	cancel()
	<-ended
}

// TestSessionsOfOthersAreHidden: a role sees its own only, and is told so.
func TestSessionsOfOthersAreHidden(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	role := "reader_" + s.Name
	s.exec(`CREATE ROLE ` + role + ` LOGIN PASSWORD 'x'`)
	t.Cleanup(func() { // a role belongs to the whole server
		_, err := s.Pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})
	s.exec(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + role)
	connection(t, s.URL, "hidden")
	found := asRole(t, s, role)
	require.Equal(t, OK, found["postgres.long_transactions"].Status, found["postgres.long_transactions"].Detail)
	require.Contains(t, found["postgres.long_transactions"].Detail, "not visible")
	require.Equal(t, OK, found["postgres.connections"].Status, found["postgres.connections"].Detail)
}

func TestWraparound(t *testing.T) {
	t.Parallel()
	s := siteOn(t, durable(t, map[string]string{"autovacuum_freeze_max_age": "100000", "fsync": "off"}))
	s.require("postgres.wraparound", OK, "")
	// As long as this is open, nothing can be frozen.
	old := connection(t, s.URL, "old")
	_, err := old.Exec(t.Context(), `BEGIN; SELECT pg_current_xact_id()`)
	require.NoError(t, err)
	s.exec(`CREATE TABLE burnt (n integer)`)
	s.exec(`DO $$ BEGIN FOR i IN 1..210000 LOOP
		BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN others THEN NULL; END;
	END LOOP; END $$`)
	s.require("postgres.wraparound", Warn, "does not keep up")
	require.Equal(t, Fail, ages{ids: 1_200_000_000, idsLimit: 2_000_000_000, multiLimit: 400_000_000}.judge().status)
	require.Equal(t, Warn, ages{multi: 900_000_000, idsLimit: 200_000_000, multiLimit: 400_000_000}.judge().status)
}
