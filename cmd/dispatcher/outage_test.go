package main

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// PostgreSQL crashes under load and comes back, again and again (F5). Nothing that
// it acknowledged is lost, and no dispatcher gives up. Beside what was in flight it
// may forget the last completions, which nobody waited for to be on disk: those
// deliveries are made again.
func TestPostgreSQLCrashesUnderDelivery(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	w := newWorld(t, dbtest.NewOn(t, server).URL)
	for range 3 {
		w.endpoint(2 * time.Millisecond)
	}
	fleet := []*process{spawn(t, w.url), spawn(t, w.url)}
	stop := w.produce(scaled(200, 500))
	crashes := 0
	goOn(2, func(int) {
		time.Sleep(scaled(500*time.Millisecond, time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, server.StopImmediate(ctx))
		time.Sleep(scaled(300*time.Millisecond, 5*time.Second))
		require.NoError(t, server.Start(ctx))
		require.Eventually(t, func() bool { return w.db.Pool.Ping(ctx) == nil }, 30*time.Second, 20*time.Millisecond)
		crashes++
	})
	stop()
	w.drained(recovery())
	// What the server forgets is what it had not flushed: three turns of its WAL
	// writer, 200 ms each, at a rate that a test does not reach.
	const forgotten = 2000
	require.LessOrEqual(t, w.delivers(), crashes*(len(fleet)*mostDuplicates+forgotten))
	for _, p := range fleet {
		p.stop(t)
	}
}

// Backends are terminated all the time, LISTEN's among them, and connections to
// the database break without a word (F6).
func TestTerminatedConnectionsLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	for range 3 {
		w.endpoint(2 * time.Millisecond)
	}
	proxy := newWire(t, w.url)
	fleet := []*process{spawn(t, proxy.url), spawn(t, w.url)}
	stop := w.produce(scaled(200, 500))
	terminated, cut := 0, 0
	goOn(12, func(n int) {
		time.Sleep(200 * time.Millisecond)
		if n%4 == 3 {
			require.Eventually(t, func() bool { // it may be connecting still
				found := proxy.cut(listening)
				cut += found
				return found > 0
			}, 10*time.Second, 5*time.Millisecond)
			return
		}
		terminated += w.number(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'txn-dispatcher'`)
	})
	stop()
	require.Positive(t, terminated)
	require.Positive(t, cut)
	w.drained(recovery())
	require.Zero(t, w.delivers(), "those who live know what they have sent")
	for _, p := range fleet {
		p.stop(t)
	}
}

// The database is behind a pooler that gives a connection away after every
// transaction, with and without a way around it for LISTEN (F6).
func TestBehindATransactionPooler(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]bool{"listening directly": true, "deaf": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.New(t).URL)
			e := w.endpoint(0)
			pooler := newPooler(t, w.url, 3)
			// What libpq calls prepared statements do not survive there.
			address, err := url.Parse(pooler.url)
			require.NoError(t, err)
			query := address.Query()
			query.Set("default_query_exec_mode", "cache_describe")
			address.RawQuery = query.Encode()
			var environment []string
			if direct {
				environment = append(environment, "TXN_DATABASE_LISTEN_URL="+w.url)
			}
			p := spawn(t, address.String(), environment...)
			stop := w.produce(100)
			require.Eventually(t, func() bool { return e.count() > 100 }, 30*time.Second, 5*time.Millisecond)
			stop()
			w.drained(recovery())
			require.Zero(t, w.delivers())
			if direct {
				require.Positive(t, w.number(`SELECT count(*) FROM pg_stat_activity
					WHERE datname = current_database() AND query LIKE 'LISTEN%'`), "it listens")
			}
			require.Positive(t, pooler.handovers(), "connections have changed hands")
			p.stop(t)
		})
	}
}
