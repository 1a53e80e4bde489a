package dbtest

import (
	"context"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/migrations"
)

func TestTemplateName(t *testing.T) {
	t.Parallel()
	name := func(files fstest.MapFS) string {
		name, err := templateName(files)
		require.NoError(t, err)
		return name
	}
	file := func(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }
	first := name(fstest.MapFS{"1.sql": file("a"), "2.sql": file("b")})
	require.Equal(t, first, name(fstest.MapFS{"2.sql": file("b"), "1.sql": file("a")}))
	require.LessOrEqual(t, len(first), 63, "longer names are cut off")
	for _, changed := range []fstest.MapFS{
		{"1.sql": file("a"), "2.sql": file("c")},
		{"1.sql": file("a"), "3.sql": file("b")},
		{"1.sql": file("a")},
		{"1.sql": file("ab"), "2.sql": file("")},
	} {
		require.NotEqual(t, first, name(changed), "%v", changed)
	}
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestInterruptedTemplateIsMadeAnew(t *testing.T) {
	t.Parallel()
	server := Server(t)
	name, err := templateName(migrations.FS)
	require.NoError(t, err)
	_, err = connect(t, server.URL("postgres")).Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	connect(t, server.URL(name)) // what the interrupted run left connected

	db := NewOn(t, server)
	db.Exec(t, "SELECT FROM transactions")
	_, err = pgx.Connect(t.Context(), server.URL(name))
	require.Error(t, err, "a connection to the template would keep it from being cloned")
}

func TestDropAbandoned(t *testing.T) {
	t.Parallel()
	server := Server(t)
	conn := connect(t, server.URL("postgres"))
	now := time.Now()
	abandoned, used := newName(now.Add(-2*abandonedAfter)), newName(now.Add(-2*abandonedAfter))
	young, other := newName(now.Add(-abandonedAfter/2)), clonePrefix+"mine"
	for _, name := range []string{abandoned, used, young, other} {
		_, err := conn.Exec(t.Context(), "CREATE DATABASE "+name)
		require.NoError(t, err)
	}
	connect(t, server.URL(used))

	require.NoError(t, dropAbandoned(t.Context(), conn, now))
	rows, err := conn.Query(t.Context(), "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", clonePrefix)
	require.NoError(t, err)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, []string{used, young, other}, left)
}

func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	address, err := databaseURL("postgres://u:p@localhost:5433/postgres?sslmode=disable", "mine")
	require.NoError(t, err)
	require.Equal(t, "postgres://u:p@localhost:5433/mine?sslmode=disable", address)
	for _, malformed := range []string{"host=localhost password=secret", "postgres://u:secret@ho st/x", ""} {
		_, err := databaseURL(malformed, "mine")
		require.ErrorContains(t, err, databaseVariable)
		require.NotContains(t, err.Error(), "secret")
	}
}

// complaints records what a test is reproached with.
type complaints struct {
	testing.TB
	said []string
}

func (c *complaints) Errorf(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

func TestConnectionsMustBeGivenBack(t *testing.T) {
	t.Parallel()
	db := New(t)
	pool, err := pgxpool.New(t.Context(), db.URL)
	require.NoError(t, err)
	held, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	record := &complaints{TB: t}
	closePool(record, pool, 10*time.Millisecond)
	require.Len(t, record.said, 1)
	require.Contains(t, record.said[0], "1 connection")
	held.Release()

	fine, err := pgxpool.New(t.Context(), db.URL)
	require.NoError(t, err)
	record = &complaints{TB: t}
	closePool(record, fine, closeTimeout)
	require.Empty(t, record.said)
}
