package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/devstack"
)

// Everything that an idle dispatcher does, its upkeep included, is under twenty
// statements a second, BEGIN and COMMIT counted.
func TestAnIdleDispatcherIsQuiet(t *testing.T) {
	t.Parallel()
	var there bool
	require.NoError(t, dbtest.New(t).Pool.QueryRow(t.Context(),
		`SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')`).Scan(&there))
	if !there {
		t.Skip("this PostgreSQL comes without pg_stat_statements")
	}
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Settings: map[string]string{
		"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close(context.WithoutCancel(t.Context())) })
	db := dbtest.NewOn(t, server)
	db.Exec(t, `CREATE EXTENSION pg_stat_statements`)
	w := newWorld(t, db.URL)
	w.endpoint(0)
	_, stop, _ := start(t, settings(db.URL))
	w.events(3)
	w.drained(10 * time.Second)
	require.Eventually(t, func() bool {
		return w.number(`SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`) == 0
	}, 5*time.Second, 20*time.Millisecond)

	const span = 5 // seconds
	db.Exec(t, `SELECT pg_stat_statements_reset()`)
	time.Sleep(span * time.Second)
	rows, err := db.Pool.Query(t.Context(), `SELECT s.calls, s.query FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%' ORDER BY s.calls DESC`)
	require.NoError(t, err)
	total := 0
	for rows.Next() {
		var calls int
		var query string
		require.NoError(t, rows.Scan(&calls, &query))
		total += calls
		t.Log(calls, query[:min(len(query), 90)])
	}
	require.NoError(t, rows.Err())
	require.Positive(t, total, "it looks for work")
	require.Less(t, total, 20*span)
	require.NoError(t, stop())
}
