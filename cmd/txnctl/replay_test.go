package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// dispatch works replays off until the test ends, as a dispatcher does.
func (c *cli) dispatch(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		dispatcher := outbox.NewDispatcher(c.db)
		for ctx.Err() == nil {
			if _, ok, _ := dispatcher.StepReplay(ctx); !ok {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

// pick leaves only these fields of an object.
func pick(object map[string]any, fields ...string) map[string]any {
	picked := make(map[string]any, len(fields))
	for _, field := range fields {
		picked[field] = object[field]
	}
	return picked
}

func TestWebhookReplay(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.dispatch(t)
	business := c.business(t)
	one, two := c.endpoint(t, business, 2), c.endpoint(t, business, 1)
	failed := data(t, c.ok(t, "webhook", "failed", "--endpoint", two))[0]
	delivery, event := c.text(t, failed, "id"), c.text(t, failed, "event_id")
	count := func(matched, missing, replayed, pending float64) map[string]any {
		return map[string]any{"matched": matched, "missing": missing, "replayed": replayed, "pending": pending}
	}
	replay := func(args ...string) map[string]any {
		t.Helper()
		return pick(c.ok(t, append([]string{"webhook", "replay"}, args...)...), "matched", "missing", "replayed", "pending")
	}
	require.Equal(t, count(3, 0, 0, 0), replay("--business", business, "--dry-run"))
	require.Equal(t, count(1, 0, 1, 0), replay("--delivery", delivery))
	require.Equal(t, count(1, 0, 0, 1), replay("--delivery", delivery), "pending already")
	require.Equal(t, count(2, 1, 0, 1), replay("--event", event, "--dry-run"))
	require.Equal(t, count(1, 1, 1, 0), replay("--event", event, "--endpoint", one))
	require.Equal(t, count(2, 0, 0, 2), replay("--event", event))
	require.Equal(t, count(2, 0, 0, 0), replay("--webhook", one, "--dry-run"))
	require.Equal(t, count(2, 0, 2, 0), replay("--endpoint", one, "--rate", "1000"))
	require.Equal(t, count(3, 2, 2, 1), replay("--endpoint", two, "--since", "2020-01-01T00:00:00Z"), "what it never had")
	require.Equal(t, count(0, 0, 0, 0), replay("--endpoint", two, "--since", "2020-01-01T00:00:00Z", "--failed-only"))
	require.Equal(t, count(0, 0, 0, 0), replay("--business", business, "--event-types", "account.*,hold.created"))
	require.Empty(t, data(t, c.ok(t, "webhook", "failed", "--business", business)))

	entries := data(t, c.ok(t, "audit", "list", "--action", "webhook.replayed", "--business", business))
	require.Len(t, entries, 8, "a dry run changes nothing and is not logged")
	require.Equal(t, delivery, entries[7]["target"])
	require.Equal(t, count(1, 0, 1, 0), pick(entries[7]["after"].(map[string]any), "matched", "missing", "replayed", "pending"))
	require.Contains(t, c.run(t, "webhook", "replay", "--business", business, "--dry-run").out, "MATCHED")

	for line, code := range map[string]int{
		"webhook replay": exitUsage,
		"webhook replay --delivery x --business " + business:                                    exitUsage,
		"webhook replay --event x --endpoint y --business z":                                    exitUsage,
		"webhook replay --since 2026-01-01T00:00:00Z --delivery x":                              exitUsage,
		"webhook replay --failed-only --event x":                                                exitUsage,
		"webhook replay --rate 0 --business " + business:                                        exitUsage,
		"webhook replay --since yesterday --business " + business:                               exitUsage,
		"webhook replay nonsense":                                                               exitUsage,
		"webhook replay --rate 1e9 --business " + business:                                      exitRefused,
		"webhook replay --event-types nope --business " + business:                              exitRefused,
		"webhook replay --delivery x":                                                           exitNotFound,
		"webhook replay --delivery " + models.NewID[models.DeliveryPrefix]().String():           exitNotFound,
		"webhook replay --event " + models.NewID[models.EventPrefix]().String():                 exitNotFound,
		"webhook replay --endpoint " + models.NewID[models.WebhookPrefix]().String():            exitNotFound,
		"webhook replay --event " + event + " --endpoint " + c.endpoint(t, c.business(t), 0):    exitNotFound,
		"webhook replay --dry-run --business " + models.NewID[models.BusinessPrefix]().String(): exitNotFound,
		"webhook replay show " + models.NewID[models.ReplayPrefix]().String():                   exitNotFound,
		"webhook replay cancel rpl_x":                                                           exitNotFound,
	} {
		r := c.run(t, strings.Fields(line)...)
		require.Equal(t, code, r.code, "%s: %s", line, r.err)
	}
}

func TestReplaysOutliveTheCommand(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	endpoint := c.endpoint(t, business, 3)
	queued := c.ok(t, "webhook", "replay", "--endpoint", endpoint, "--no-wait")
	require.Equal(t, "pending", queued["status"])
	require.InDelta(t, 3, queued["total"], 0)
	id := c.text(t, queued, "id")

	// Whoever stops waiting is told how to look at it, and it goes on.
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Second)
	defer cancel()
	r := c.runUntil(t, ctx, "webhook", "replay", "watch", id)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "waits for a dispatcher")
	require.Contains(t, r.err, "txnctl webhook replay show "+id)
	require.Equal(t, queued, c.ok(t, "webhook", "replay", "show", id))

	cancelled := c.ok(t, "webhook", "replay", "cancel", id)
	require.Equal(t, "cancelled", cancelled["status"])
	c.ok(t, "webhook", "replay", "cancel", id)
	require.Len(t, data(t, c.ok(t, "audit", "list", "--action", "replay.cancelled")), 1)
	require.Equal(t, exitFailed, c.run(t, "webhook", "replay", "watch", id).code, "it is not done")

	c.dispatch(t)
	second := c.text(t, c.ok(t, "webhook", "replay", "--business", business, "--no-wait"), "id")
	done := c.ok(t, "webhook", "replay", "watch", second)
	require.Equal(t, "completed", done["status"])
	require.InDelta(t, 3, done["replayed"], 0)
	require.Equal(t, exitRefused, c.run(t, "webhook", "replay", "cancel", second).code)
	page := c.ok(t, "webhook", "replay", "list", "--business", business, "--limit", "1")
	require.Equal(t, second, data(t, page)[0]["id"])
	rest := data(t, c.ok(t, "webhook", "replay", "list", "--business", business, "--cursor", c.text(t, page, "next_cursor")))
	require.Equal(t, id, rest[0]["id"])
	require.Contains(t, c.run(t, "webhook", "replay", "list", "--business", business).out, business)
}
