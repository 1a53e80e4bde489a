package main

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/webhook"
)

// An ordered endpoint that fails every fifth time, with dispatchers being killed,
// gets the events of each account for the first time in the order in which they
// were committed (F16).
func TestOrderSurvivesFailuresAndKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	e := w.endpoint(0, func(f *webhook.Fields) { f.Ordered = true })
	e.reply = func(int, http.Header) int {
		if rand.IntN(5) == 0 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	// The breaker never waits longer than the schedule.
	quick := "TXN_WEBHOOKS_RETRY_SCHEDULE=1ms,1ms,1ms,1ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms,10ms"
	fleet := []*process{spawn(t, w.url, quick), spawn(t, w.url, quick)}
	stop := w.produce(scaled(50, 20))
	goOn(2, func(n int) {
		time.Sleep(scaled(time.Second, 15*time.Second))
		fleet[n%2].kill(t)
		fleet[n%2] = spawn(t, w.url, quick)
		if *soak == 0 {
			w.expireLeases()
		}
	})
	stop()
	w.drained(recovery())
	require.Equal(t, 1, e.crowd(), "one at a time")
	w.delivers()
	var last [accounts]int
	for _, c := range e.firsts {
		require.Greater(t, c.N, last[c.Account], "account %d", c.Account)
		last[c.Account] = c.N
	}
	for _, p := range fleet {
		p.stop(t)
	}
}
