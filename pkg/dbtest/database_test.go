package dbtest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

func TestNewIsMigratedAndPrivate(t *testing.T) {
	t.Parallel()
	one, two := dbtest.New(t), dbtest.New(t)
	require.NotEqual(t, one.Name, two.Name)

	one.Exec(t, "CREATE TABLE mine (id bigint)")
	var exists bool
	require.NoError(t, two.Pool.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&exists))
	require.False(t, exists, "databases share tables")
	require.NoError(t, two.Pool.QueryRow(t.Context(), "SELECT to_regclass('transactions') IS NOT NULL").Scan(&exists))
	require.True(t, exists, "the database is not migrated")
}

func TestNewKeepsDurableCommitSemantics(t *testing.T) {
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
	var name string
	t.Run("user", func(t *testing.T) {
		db := dbtest.New(t)
		name = db.Name
		// A connection that the test forgot does not keep the database.
		_, err := pgx.Connect(context.Background(), db.URL)
		require.NoError(t, err)
	})
	var exists bool
	err := other.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	require.NoError(t, err)
	require.False(t, exists)
}

func TestNewInParallel(t *testing.T) {
	t.Parallel()
	const clones = 12
	names := make([]string, clones)
	var group sync.WaitGroup
	for i := range clones {
		group.Go(func() { names[i] = dbtest.New(t).Name })
	}
	group.Wait()
	seen := map[string]bool{}
	for _, name := range names {
		require.NotEmpty(t, name)
		require.False(t, seen[name])
		seen[name] = true
	}
}
