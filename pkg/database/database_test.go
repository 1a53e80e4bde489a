package database_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
)

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	testdb := dbtest.New(t)
	migrator, err := database.NewMigrator(testdb.URL)
	require.NoError(t, err)
	defer migrator.Close()
	db := open(t, testdb.URL)
	require.NoError(t, db.CheckSchema(t.Context()))

	all, err := migrator.Status(t.Context())
	require.NoError(t, err)
	for i := len(all) - 1; i >= 0; i-- {
		undone, err := migrator.Down(t.Context())
		require.NoError(t, err)
		require.Len(t, undone, 1)
		require.Equal(t, all[i].Version, undone[0].Version)
		require.False(t, undone[0].Applied)
		require.ErrorIs(t, db.CheckSchema(t.Context()), database.ErrSchemaTooOld)
	}
	undone, err := migrator.Down(t.Context())
	require.NoError(t, err)
	require.Empty(t, undone, "nothing is left")
	var tables int
	require.NoError(t, testdb.Pool.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'goose_db_version'`).Scan(&tables))
	require.Zero(t, tables, "down leaves nothing behind")

	// Any number may migrate at once.
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return database.Migrate(context.Background(), testdb.URL) })
	}
	require.NoError(t, group.Wait())
	require.NoError(t, db.CheckSchema(t.Context()))
}

func TestConflictsAreRunAgain(t *testing.T) {
	t.Parallel()
	testdb := dbtest.New(t)
	testdb.Exec(t, `CREATE TABLE pairs (id int PRIMARY KEY, n int NOT NULL)`)
	testdb.Exec(t, `INSERT INTO pairs VALUES (1, 0), (2, 0)`)
	db := open(t, testdb.URL)
	// Two transactions that lock the same rows in opposite order: one of them is
	// the victim of the deadlock and must be run again.
	met := make(chan struct{}, 2)
	runs := make(chan struct{}, 16)
	var group errgroup.Group
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		group.Go(func() error {
			first := true
			return db.InTx(t.Context(), func(tx *gorm.DB) error {
				runs <- struct{}{}
				if err := tx.Exec(`UPDATE pairs SET n = n + 1 WHERE id = ?`, order[0]).Error; err != nil {
					return err
				}
				if first {
					first = false
					met <- struct{}{}
					for len(met) < 2 {
						time.Sleep(time.Millisecond)
					}
				}
				return tx.Exec(`UPDATE pairs SET n = n + 1 WHERE id = ?`, order[1]).Error
			})
		})
	}
	require.NoError(t, group.Wait())
	require.GreaterOrEqual(t, len(runs), 3)
	var sum int
	require.NoError(t, testdb.Pool.QueryRow(t.Context(), `SELECT sum(n) FROM pairs`).Scan(&sum))
	require.Equal(t, 4, sum, "each exactly once")
}

func TestErrorsAreToldApartByState(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return &pgconn.PgError{Code: code, Message: "whatever it says"} }
	for want, list := range map[errs.Code][]error{
		errs.Unavailable: {
			state("40001"), state("40P01"), state("55P03"), state("57014"), state("53300"), state("25006"), state("0A000"), state("57P01"), state("08006"),
			io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled,
		},
		errs.NotFound: {pgx.ErrNoRows, gorm.ErrRecordNotFound},
		errs.Internal: {state("23505"), state("42P01"), errors.New("connection refused, it says")},
	} {
		for _, err := range list {
			require.Equal(t, want, errs.CodeOf(database.Coded(err)), "%v", err)
		}
	}
	require.NoError(t, database.Coded(nil))
	coded := errs.New(errs.LimitExceeded, "enough")
	require.Equal(t, error(coded), database.Coded(coded), "a coded error keeps its code")
	require.True(t, database.IsLost(state("57P01")))
	require.False(t, database.IsLost(state("23505")))
	require.Equal(t, "key", database.Constraint(&pgconn.PgError{Code: "23505", ConstraintName: "key"}))
}

func TestAnOutageIsCodedAndEnds(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	testdb := dbtest.NewOn(t, server)
	db := open(t, testdb.URL)
	require.NoError(t, db.CheckSchema(t.Context()))
	require.NoError(t, server.StopImmediate(t.Context()))
	err := db.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("SELECT 1").Error })
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.Positive(t, errs.As(err).RetryAfter)
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool { return db.CheckSchema(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
}

// A migration that adds a column goes unnoticed by connections that have read the
// table before.
func TestNewColumnsGoUnnoticed(t *testing.T) {
	t.Parallel()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL, MaxOpenConns: 1})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	type thing struct{ ID int }
	require.NoError(t, db.Gorm.Exec(`CREATE TABLE things (id integer)`).Error)
	read := func(tx *gorm.DB) error { return tx.Find(&[]thing{}).Error }
	readAll := func(tx *gorm.DB) error { return tx.Raw(`SELECT * FROM things`).Scan(&[]thing{}).Error }
	for _, column := range []string{"one", "two"} {
		require.NoError(t, read(db.Gorm))
		require.NoError(t, db.InTx(t.Context(), read))
		require.NoError(t, db.InTx(t.Context(), readAll), "it is run again")
		require.NoError(t, db.Gorm.Exec("ALTER TABLE things ADD COLUMN "+column+" integer").Error)
	}
}
