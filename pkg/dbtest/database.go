package dbtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/disclosure"
)

const (
	maxConns     = 20
	cloneTimeout = 2 * time.Minute
	cloneTries   = 5
	dropTimeout  = time.Minute
	closeTimeout = 10 * time.Second
	objectInUse  = "55006" // SQLSTATE object_in_use
)

// Database is a migrated, empty database that one test has to itself.
type Database struct {
	// Name is the database's name on its server.
	Name string
	// URL connects to it as the role that owns it.
	URL string
	// Pool has up to 20 connections and is closed at the end of the test.
	Pool *pgxpool.Pool
}

// New returns a database cloned from the migrated template on the server of this run. It is dropped at the end of the
// test, along with the connections that are still open to it.
func New(t testing.TB) *Database {
	t.Helper()
	server, err := sharedPostgres()
	require.NoError(t, err)
	return open(t, server, true)
}

// NewOn is New on a server that Server returned. The database goes away with the server.
func NewOn(t testing.TB, server *devstack.Postgres) *Database {
	t.Helper()
	return open(t, server.URL("postgres"), false)
}

// Exec runs a statement and fails the test if it fails.
func (d *Database) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := d.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func open(t testing.TB, server string, drop bool) *Database {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cloneTimeout)
	defer cancel()
	name := newName(time.Now())
	require.NoError(t, clone(ctx, server, name))
	if drop {
		t.Cleanup(func() {
			if err := dropDatabase(server, name); err != nil {
				t.Errorf("drop the database of this test: %v", err)
			}
		})
	}
	address, err := databaseURL(server, name)
	require.NoError(t, err)
	require.NoError(t, disclosure.RecordPassword(address))
	config, err := pgxpool.ParseConfig(address)
	require.NoError(t, err)
	config.MaxConns = maxConns
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	require.NoError(t, err)
	t.Cleanup(func() { closePool(t, pool, closeTimeout) })
	return &Database{Name: name, URL: address, Pool: pool}
}

func clone(ctx context.Context, server, name string) error {
	source, err := templateOn(ctx, server)
	if err != nil {
		return err
	}
	return onServer(ctx, server, func(conn *pgx.Conn) error {
		statement := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " " + source.clause
		for try := 1; ; try++ {
			_, err := conn.Exec(ctx, statement)
			var refused *pgconn.PgError
			if try < cloneTries && errors.As(err, &refused) && refused.Code == objectInUse {
				continue // the server itself has waited five seconds for the last connection to go
			}
			return err
		}
	})
}

func dropDatabase(server, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	return onServer(ctx, server, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
		return err
	})
}

// onServer runs do on a connection of its own: a pool would keep a goroutine that a test's leak check finds.
func onServer(ctx context.Context, server string, do func(*pgx.Conn) error) (err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return do(conn)
}

// closePool fails the test if it did not give back a connection, instead of waiting for that for ever.
func closePool(t testing.TB, pool *pgxpool.Pool, patience time.Duration) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Errorf("the test still holds %d connections of its database pool", pool.Stat().AcquiredConns())
	}
}
