package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/webhook"
)

// shift moves all clocks of a database, in front of those that it was born with:
// to a dispatcher that is the same as if its own were wrong.
func shift(t *testing.T, database *dbtest.Database, by time.Duration) {
	t.Helper()
	database.Exec(t, `CREATE SCHEMA shifted`)
	for name, volatility := range map[string]string{
		"now": "STABLE", "transaction_timestamp": "STABLE", "statement_timestamp": "STABLE", "clock_timestamp": "VOLATILE",
	} {
		database.Exec(t, fmt.Sprintf(`CREATE FUNCTION shifted.%s() RETURNS timestamptz LANGUAGE sql %s PARALLEL SAFE
			AS $$ SELECT pg_catalog.%s() + '%d s'::interval $$`, name, volatility, name, int(by.Seconds())))
	}
	database.Exec(t, `ALTER DATABASE `+database.Name+` SET search_path = shifted, public, pg_catalog`)
}

// The clocks of dispatchers are ten minutes ahead of everybody else's, or behind
// (F11): nothing is early, late or stuck, and receivers, who go by the right time
// and refuse what is five minutes off, believe every signature.
func TestClocksThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, behind := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(behind.String(), func(t *testing.T) {
			t.Parallel()
			database := dbtest.New(t)
			shift(t, database, behind)
			w := newWorld(t, database.URL)
			require.InDelta(t, behind.Seconds(), float64(w.number(`SELECT extract(epoch FROM now() - pg_catalog.now())::int`)), 1)
			right := func() time.Time { return time.Now().Add(behind) }

			steady, failing := w.endpoint(0), w.endpoint(0, func(f *webhook.Fields) { f.MaxConcurrency = 1 })
			for _, e := range w.all {
				e.verify = verifierAt(t, e.secret, right)
			}
			var asked []time.Time
			var promised time.Time
			failing.reply = func(n int, header http.Header) int {
				asked = append(asked, right())
				switch n {
				case 1: // the schedule's turn
					return http.StatusInternalServerError
				case 2: // the receiver's wish, by its own clock
					promised = right().Add(3 * time.Second).Truncate(time.Second)
					header.Set("Date", right().UTC().Format(http.TimeFormat))
					header.Set("Retry-After", promised.UTC().Format(http.TimeFormat))
					return http.StatusServiceUnavailable
				default:
					return http.StatusOK
				}
			}
			p := spawn(t, w.url, "TXN_WEBHOOKS_RETRY_SCHEDULE=1s,100ms,1s")
			w.events(1)
			w.drained(recovery())
			require.Len(t, asked, 3)
			require.GreaterOrEqual(t, asked[1].Sub(asked[0]), time.Second, "not early")
			require.GreaterOrEqual(t, asked[2].Sub(asked[1]), 2*time.Second-10*time.Millisecond, "not before the receiver wants it")
			w.events(50)
			w.drained(recovery())

			// Leases run out by the database's clock.
			w.eventsUntil(closed(), 0)
			p.kill(t)
			second := spawn(t, w.url)
			w.drained(recovery())
			require.LessOrEqual(t, w.delivers(), mostDuplicates)
			require.Positive(t, steady.count())
			second.stop(t)
		})
	}
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// verifierAt verifies as the library does, by another clock.
func verifierAt(t *testing.T, secret string, now func() time.Time) func([]byte, http.Header) error {
	t.Helper()
	v, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return func(body []byte, header http.Header) error {
		seconds, err := strconv.ParseInt(header.Get(webhook.HeaderTimestamp), 10, 64)
		if err != nil {
			return err
		}
		if off := now().Sub(time.Unix(seconds, 0)); off.Abs() > 5*time.Minute {
			return errors.New("the signature is " + off.String() + " old")
		}
		return v.VerifyIgnoringTimestamp(body, header)
	}
}
