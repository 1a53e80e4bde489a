package outbox

import (
	"flag"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// replayRows is how many events the plans of replays are checked on.
var replayRows = flag.Int("replay-rows", 20_000, "events that the plans of replays are checked on")

// fillReplays adds n events, a second apart, each with a delivery to the endpoint
// but for one in ten; one in ten of those failed, and none of the newest tenth.
func (k *kit) fillReplays(key LaneKey, n int) {
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT $1, uuid_v7(now() - make_interval(secs => n), n), CASE n % 2 WHEN 0 THEN 'account.created' ELSE 'hold.created' END,
		       convert_to(repeat('x', 600), 'UTF8'), now() - make_interval(secs => n) FROM generate_series(1, $2) n`, key.BusinessID, n)
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at, failure_reason)
		SELECT $1, uuid_v7(now(), n), id, $2, CASE WHEN failed THEN 'failed' ELSE 'delivered' END, now(), n, now(), now(), CASE WHEN failed THEN 'x' END
		FROM (SELECT id, n, n % 10 = 1 AND n < $3 * 0.9 AS failed FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM webhook_events WHERE business_id = $1) e) e
		WHERE n % 10 > 0`, key.BusinessID, key.WebhookID, n)
	k.exec(`INSERT INTO webhook_replays (business_id, id, until, failed_only, rate, status)
		SELECT $1, uuid_v7(now(), n), now(), true, 1, 'pending' FROM generate_series(1, 10) n`, key.BusinessID)
	k.exec(`INSERT INTO webhook_replay_targets (business_id, replay_id, webhook_id, after_event_id)
		SELECT business_id, id, $1, id FROM webhook_replays`, key.WebhookID)
}

var walksAway = regexp.MustCompile(`Seq Scan on webhook_(deliveries|events)|Bitmap Heap Scan|Hash Join|Merge Join`)

// A step looks at a bounded part of however much there is, along an index.
func TestPlansOfReplaysStayOnTheirIndexes(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		t.Run("statistics="+strconv.FormatBool(known), func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			key := k.endpoint(k.business(), "")
			k.exec(`ALTER TABLE webhook_deliveries SET (autovacuum_enabled = off)`)
			k.exec(`ALTER TABLE webhook_events SET (autovacuum_enabled = off)`)
			k.exec(`ANALYZE`) // of tables that are empty
			k.fillReplays(key, *replayRows)
			if known {
				k.exec(`ANALYZE`)
			}
			k.checkReplayPlans(t, key)
		})
	}
}

func (k *kit) checkReplayPlans(t *testing.T, key LaneKey) {
	t.Helper()
	after, before := firstEventAt(time.Now().Add(-time.Duration(*replayRows/2)*time.Second)).UUID(), firstEventAt(time.Now()).UUID()
	var all []string
	events := make([]models.EventID, 100)
	for i := range events {
		events[i] = models.NewID[models.EventPrefix]()
	}
	for statement, run := range map[string]struct {
		sql   string
		args  []any
		index string
	}{
		"next":      {nextReplaySQL, nil, "webhook_replays_due_idx"},
		"failed":    {walkFailedSQL, []any{key.BusinessID, key.WebhookID, after, before, replayScan, all}, "webhook_deliveries_failed_event_idx"},
		"events":    {walkEventsSQL, []any{key.BusinessID, key.WebhookID, after, before, replayScan, all}, "webhook_events_pkey"},
		"congested": {congestedSQL, []any{key.BusinessID, key.WebhookID, 100}, "webhook_deliveries_due_idx"},
		"before":    {sequenceBeforeSQL, []any{key.BusinessID, key.WebhookID, events[0]}, "webhook_deliveries_event_key"},
		"replay": {replaySQL, []any{key.BusinessID, key.WebhookID, events, make([]models.DeliveryID, len(events)),
			make([]int64, len(events)), time.Now(), 0.01, 0, firstReplayRun}, "webhook_lanes_pkey"},
	} {
		plan := k.explainReplay(run.sql, run.args...)
		require.NotRegexp(t, walksAway, plan, statement)
		require.NotContains(t, plan, "Materialize", statement)
		require.Contains(t, plan, run.index, statement)
		if testing.Verbose() {
			t.Log(statement, "\n", plan)
		}
	}
	if testing.Verbose() {
		for _, failedOnly := range []bool{true, false} {
			began := time.Now()
			count := k.counted(ReplaySelection{BusinessID: key.BusinessID, WebhookID: key.WebhookID, Since: time.Unix(1, 0), FailedOnly: failedOnly})
			t.Logf("counted %+v in %s", count, time.Since(began))
		}
	}
}

// explainReplay returns the plan that a step would run.
func (k *kit) explainReplay(sql string, args ...any) string {
	k.t.Helper()
	tx, err := k.db.Pool.Begin(k.t.Context())
	require.NoError(k.t, err)
	defer tx.Rollback(k.t.Context()) //nolint:errcheck // ends with the test
	_, err = tx.Exec(k.t.Context(), replaySettingsSQL)
	require.NoError(k.t, err)
	rows, err := tx.Query(k.t.Context(), "EXPLAIN (ANALYZE, BUFFERS) "+sql, args...)
	require.NoError(k.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(k.t, err)
	return strings.Join(lines, "\n")
}
