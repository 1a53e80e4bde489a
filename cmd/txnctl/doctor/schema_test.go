package doctor

import (
	"context"
	"flag"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
)

var update = flag.Bool("update", false, "write indexes.sql anew")

// TestIndexesAreThoseOfTheMigrations: what is expected is what the migrations make.
func TestIndexesAreThoseOfTheMigrations(t *testing.T) {
	t.Parallel()
	rows, err := dbtest.New(t).Pool.Query(t.Context(), `SELECT pg_get_indexdef(indexrelid) FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'goose_db_version'`)
	require.NoError(t, err)
	definitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	slices.Sort(definitions)
	text := strings.Join(definitions, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile("indexes.sql", []byte(text), 0o600))
		return
	}
	require.Equal(t, text, schemaIndexes, "after a migration: go test ./cmd/txnctl/doctor -run TestIndexesAreThose -update")
}

func TestSchemaOfAnotherRelease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	found := s.examine()
	require.Equal(t, Warn, found["postgres.schema"].Status)
	require.Equal(t, Skipped, found["postgres.indexes"].Status)
	require.Equal(t, OK, found["ledger.overdue_holds"].Status, "the rest is examined")

	migrator, err := database.NewMigrator(s.URL)
	require.NoError(t, err)
	defer migrator.Close()
	s.exec(`DELETE FROM goose_db_version WHERE version_id = 9999`)
	_, err = migrator.Down(t.Context())
	require.NoError(t, err)
	found = s.examine()
	require.Equal(t, Fail, found["postgres.schema"].Status)
	require.Contains(t, found["postgres.schema"].Advice, "txnctl migrate up")
	require.Equal(t, Finding{Name: "keys.secrets", Status: Skipped, Detail: "needs postgres.schema"}, found["keys.secrets"])
	s.exec(`DROP TABLE goose_db_version`)
	s.require("postgres.schema", Fail, "schema 0")
}

// TestIndexesThatAreMissing also follows the advice, which must put things right.
func TestIndexesThatAreMissing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.require("postgres.indexes", OK, "of the schema")

	s.exec(`DROP INDEX holds_due_idx`)
	f := s.require("postgres.indexes", Fail, "missing: holds_due_idx")
	require.Contains(t, f.Advice, "CREATE INDEX CONCURRENTLY holds_due_idx ON public.holds")
	s.exec(f.Advice)
	s.require("postgres.indexes", OK, "")

	s.exec(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'holds_due_idx'::regclass`)
	f = s.require("postgres.indexes", Fail, "holds_due_idx")
	statement, _, _ := strings.Cut(f.Advice, ",")
	s.exec(statement)
	s.require("postgres.indexes", OK, "")

	s.exec(`DROP INDEX holds_due_idx`)
	s.exec(`CREATE INDEX holds_due_idx ON holds (expires_at)`)
	s.require("postgres.indexes", Warn, "holds_due_idx")
}

func TestIndexesThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`CREATE INDEX somebodys_idx ON transaction_metadata (value)`)
	s.require("postgres.unused_indexes", OK, "added to it: somebodys_idx")
	s.exec(`INSERT INTO transaction_metadata (business_id, key, value, transaction_id)
		SELECT gen_random_uuid(), 'k', 'v', gen_random_uuid() FROM generate_series(1, $1)`, busy)
	f := s.require("postgres.unused_indexes", Warn, "somebodys_idx")
	s.exec(strings.SplitN(f.Advice, ",", 2)[0])
	s.require("postgres.unused_indexes", OK, "")
}

// fillOutbox writes rows that belong to nothing.
func (s *site) fillOutbox(rows int) {
	s.t.Helper()
	s.exec(`INSERT INTO webhook_outbox (part, business_id, event_id, type)
		SELECT 0, gen_random_uuid(), gen_random_uuid(), 'account.created' FROM generate_series(1, $1)`, rows)
}

func TestDeadRows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`ALTER TABLE webhook_outbox SET (autovacuum_enabled = false)`)
	f := s.require("postgres.vacuum", Warn, "autovacuum is off for webhook_outbox")
	s.exec(f.Advice)
	s.require("postgres.vacuum", OK, "")

	// What this can still see, vacuum leaves.
	reader := connection(t, s.URL, "reader")
	_, err := reader.Exec(t.Context(), `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM businesses`)
	require.NoError(t, err)
	s.fillOutbox(deadNoticed + 20_000)
	s.exec(`DELETE FROM webhook_outbox`)
	s.require("postgres.vacuum", Warn, "webhook_outbox (")
}

// asRole examines as another role of the database.
func asRole(t *testing.T, s *site, role string) map[string]Finding {
	t.Helper()
	address, err := url.Parse(s.URL)
	require.NoError(t, err)
	address.User = url.UserPassword(role, "x")
	return byName(t, Examine(context.WithoutCancel(t.Context()), Options{
		ConfigFile: write(t, "database: {url: \""+address.String()+"\"}\n"+s.settings), Timeout: patience,
	}))
}
