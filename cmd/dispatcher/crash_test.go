package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/outbox"
)

// recovery is more than it takes for the work of a dead process to be taken up
// and done, on a busy machine, with all that has gathered meanwhile.
func recovery() time.Duration { return outbox.Lease + scaled(time.Minute, 15*time.Minute) }

// Three dispatchers under load, one of which is killed again and again (F1).
func TestKilledDispatchersLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	for range 6 {
		w.endpoint(5 * time.Millisecond)
	}
	fleet := []*process{spawn(t, w.url), spawn(t, w.url), spawn(t, w.url)}
	stop := w.produce(scaled(200, 1000))
	kills := 0
	goOn(2, func(n int) {
		time.Sleep(scaled(time.Second, 5*time.Second))
		fleet[n%3].kill(t)
		kills++
		fleet[n%3] = spawn(t, w.url)
	})
	stop()
	w.drained(recovery())
	require.LessOrEqual(t, w.delivers(), kills*mostDuplicates)
	for _, p := range fleet {
		p.stop(t)
	}
}

// The statements of a dispatcher, by a part of their text that no other has.
var statements = map[string]string{
	"lock a part": "SELECT pg_advisory_xact_lock($1, $2)",
	"fan out":     "DELETE FROM webhook_outbox",
	"claim":       "SET owner = $2, epoch = l.epoch + 1",
	"fetch":       "WITH ORDINALITY AS w (business_id, webhook_id, epoch",
	"read events": "AS k (business_id, id)",
	"complete":    "INSERT INTO webhook_attempts",
	"heartbeat":   "SET due_at = now() + $6",
	"release":     "SET owner = NULL, breaker_failures",
}

// A process that loses its connection at any statement does it again; one that
// dies there leaves everything to the next. Nothing is lost or sent twice but what
// had been sent and not been recorded (F2, F3).
func TestNoStatementIsABadOneToDieAt(t *testing.T) {
	t.Parallel()
	for name, statement := range statements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.New(t).URL)
			w.endpoint(0)
			w.endpoint(time.Millisecond)
			proxy := newWire(t, w.url)
			p := spawn(t, proxy.url)
			duplicates := 0
			// Lanes must come and go to be claimed and released, and stay to be renewed.
			pause := 500 * time.Millisecond
			if name == "heartbeat" {
				pause = 50 * time.Millisecond
			}
			for _, at := range []moment{before, executed, committed} {
				w.eventsUntil(proxy.fail(failpoint{statement: statement, at: at, act: func() {}}), pause)
				if name == "claim" {
					w.expireLeases() // of lanes that it does not know to be its own
				}
				w.drained(recovery())
				require.Equal(t, duplicates, w.delivers(), "it lives and knows what it has sent")

				w.eventsUntil(proxy.fail(failpoint{statement: statement, at: at, act: func() { p.kill(t) }}), pause)
				unrecorded := w.unrecorded()
				if name == "complete" && at != committed {
					require.Greater(t, unrecorded, duplicates)
				}
				duplicates = unrecorded
				p = spawn(t, proxy.url)
				w.expireLeases()
				w.drained(recovery())
				require.Equal(t, duplicates, w.delivers(), "what was sent and not recorded is sent once more, nothing else")
			}
			p.stop(t)
		})
	}
}

// One event, received and not recorded: exactly one duplicate, under the same id,
// which is all that a receiver needs to tell (F2).
func TestADeathBetweenReceiptAndRecordCostsOneDuplicate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	e := w.endpoint(0)
	proxy := newWire(t, w.url)
	p := spawn(t, proxy.url)
	died := proxy.fail(failpoint{statement: statements["complete"], at: before, act: func() { p.kill(t) }})
	w.events(1)
	<-died
	require.Equal(t, 1, e.total())
	second := spawn(t, w.url)
	w.drained(recovery()) // by the lease alone
	require.Equal(t, 1, w.delivers())
	require.Equal(t, 1, e.count())
	second.stop(t)
}

// Three dispatchers under load are replaced one by one, again and again: nobody
// gets anything twice (F13).
func TestARollingRestartSendsNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	for range 6 {
		w.endpoint(20 * time.Millisecond)
	}
	fleet := []*process{spawn(t, w.url), spawn(t, w.url), spawn(t, w.url)}
	stop := w.produce(scaled(200, 1000))
	goOn(3, func(n int) {
		time.Sleep(scaled(300*time.Millisecond, 5*time.Second))
		next := spawn(t, w.url)
		fleet[n%3].stop(t)
		fleet[n%3] = next
	})
	stop()
	w.drained(recovery())
	require.Zero(t, w.delivers())
	for _, p := range fleet {
		p.stop(t)
	}
	require.Zero(t, w.number(`SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`), "leases are given back")
}
