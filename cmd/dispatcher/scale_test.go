package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/webhook"
)

// A backlog is worked off while dispatchers come and go (F17). No lane has two
// owners: the database sees it, and so do the receivers, who would get more at
// once than they asked for.
func TestScalingOutAndInWorksOffABacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	const concurrency = 2
	for range scaled(8, 40) {
		w.endpoint(4*time.Millisecond, func(f *webhook.Fields) { f.MaxConcurrency = concurrency })
	}
	backlog := scaled(600, 25_000)
	for range backlog / 100 {
		require.True(t, w.commit(0, 100))
	}
	first := spawn(t, w.url)
	rest := []*process{spawn(t, w.url), spawn(t, w.url), spawn(t, w.url)}
	half := len(w.all) * backlog / 2
	require.Eventually(t, func() bool {
		return w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`) > half
	},
		scaled(time.Minute, time.Hour), scaled(50*time.Millisecond, 5*time.Second))
	for _, p := range rest {
		p.stop(t)
	}
	w.drained(scaled(time.Minute, time.Hour))
	require.Zero(t, w.delivers())
	for _, e := range w.all {
		require.LessOrEqual(t, e.crowd(), concurrency)
	}
	require.Zero(t, w.number(`SELECT count(*) FROM (SELECT FROM owners GROUP BY webhook_id, epoch HAVING count(DISTINCT owner) > 1) o`))
	first.stop(t)
}
