package database_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
)

// What an unavailable database is said to be.
const (
	late   = "the database did not answer in time, try again"
	locked = "the data is locked by another operation, try again"
	away   = "the database cannot be reached, try again"
)

// TestUnavailableSaysWhy meets every reason on a real server: a caller and an
// operator look for the fault elsewhere when the database was slow than when it was
// away.
func TestUnavailableSaysWhy(t *testing.T) {
	t.Parallel()
	testdb := dbtest.New(t)
	testdb.Exec(t, `CREATE TABLE things (id int PRIMARY KEY)`)
	testdb.Exec(t, `INSERT INTO things VALUES (1)`)
	db := open(t, testdb.URL)
	holder, err := testdb.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `SELECT FROM things FOR UPDATE`)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, holder.Rollback(context.Background())) })

	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	elsewhere, err := url.Parse(testdb.URL)
	require.NoError(t, err)
	elsewhere.Host = silent.Addr().String()

	inTx := func(db *database.DB, statements ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			return db.InTx(ctx, func(tx *gorm.DB) error {
				for _, sql := range statements {
					if err := tx.Exec(sql).Error; err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	const soon, patient = 500 * time.Millisecond, time.Minute
	for name, c := range map[string]struct {
		within time.Duration
		run    func(context.Context) error
		says   string
	}{
		"a statement takes too long":     {patient, inTx(db, `SET LOCAL statement_timeout = '50ms'`, `SELECT pg_sleep(60)`), late},
		"the caller has no more time":    {soon, inTx(db, `SELECT pg_sleep(60)`), late},
		"a lock takes too long":          {patient, inTx(db, `SET LOCAL lock_timeout = '50ms'`, `SELECT FROM things FOR UPDATE`), locked},
		"every connection is busy":       {soon, exhausted(t, testdb.URL), late},
		"nobody listens":                 {patient, inTx(open(t, "postgres://nobody@127.0.0.1:1/none"), `SELECT 1`), away},
		"whoever listens says nothing":   {patient, inTx(open(t, elsewhere.String()), `SELECT 1`), away},
		"the server ends the connection": {patient, inTx(db, `SELECT pg_terminate_backend(pg_backend_pid())`), away},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), c.within)
			defer cancel()
			err := c.run(ctx)
			require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
			require.Equal(t, c.says, errs.As(err).Detail, "%v", err)
			require.Positive(t, errs.As(err).RetryAfter)
		})
	}
}

// exhausted asks for a connection of a pool whose only one is taken.
func exhausted(t *testing.T, address string) func(context.Context) error {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: address, MaxOpenConns: 1})
	require.NoError(t, err)
	taken, err := db.Pool.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { taken.Release(); db.Close() })
	return func(ctx context.Context) error {
		return db.InPgxTx(ctx, func(pgx.Tx) error { return nil })
	}
}
