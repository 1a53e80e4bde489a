package dbtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
)

func exists(t *testing.T, db *dbtest.Database, condition string, args ...any) bool {
	t.Helper()
	var found bool
	require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT EXISTS ("+condition+")", args...).Scan(&found))
	return found
}

func TestNewIsMigratedAndPrivate(t *testing.T) {
	t.Parallel()
	one, two := dbtest.New(t), dbtest.New(t)
	require.NotEqual(t, one.Name, two.Name)

	one.Exec(t, "CREATE TABLE mine (id bigint)")
	const table = "SELECT FROM pg_class WHERE relname = $1"
	require.True(t, exists(t, one, table, "mine"))
	require.False(t, exists(t, two, table, "mine"), "two tests share a database")
	require.True(t, exists(t, two, table, "transactions"), "the database is not migrated")

	migrator, err := database.NewMigrator(two.URL)
	require.NoError(t, err)
	defer migrator.Close()
	steps, err := migrator.Status(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, steps)
	for _, step := range steps {
		require.True(t, step.Applied, step.Name)
	}
}

func TestNewKeepsCommitSemantics(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	var setting string
	require.NoError(t, db.Pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting))
	require.Equal(t, "on", setting)
	require.EqualValues(t, 20, db.Pool.Config().MaxConns)
}

func TestNewDropsItsDatabase(t *testing.T) {
	t.Parallel()
	other := dbtest.New(t)
	const database = "SELECT FROM pg_database WHERE datname = $1"
	var name string
	t.Run("user", func(t *testing.T) {
		db := dbtest.New(t)
		name = db.Name
		require.True(t, exists(t, other, database, name))
		// A connection that the test forgot does not keep the database.
		_, err := pgx.Connect(context.Background(), db.URL)
		require.NoError(t, err)
	})
	require.False(t, exists(t, other, database, name))
}

func TestNewInParallel(t *testing.T) {
	t.Parallel()
	for i := range 16 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := dbtest.New(t)
			db.Exec(t, "CREATE TABLE mine (id bigint)")
		})
	}
}

func TestServerSurvivesCrashes(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	db := dbtest.NewOn(t, server)
	other := dbtest.NewOn(t, server)
	require.NotEqual(t, db.Name, other.Name)
	db.Exec(t, "CREATE TABLE kept AS SELECT 1 AS id")

	require.NoError(t, server.StopImmediate(t.Context()))
	_, err := db.Pool.Exec(t.Context(), "SELECT 1")
	require.Error(t, err)
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool { // the pool still holds broken connections
		_, err := db.Pool.Exec(t.Context(), "SELECT id FROM kept")
		return err == nil
	}, patience, tick)
	dbtest.NewOn(t, server) // the template has survived too

	// A test may end with its server down.
	require.NoError(t, server.Stop(t.Context()))
}
