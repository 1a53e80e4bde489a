package main

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// endpoint is a webhook with deliveries that failed.
func (c *cli) endpoint(t *testing.T, business string, failed int) string {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	keyring, err := webhook.NewKeyring([][]byte{key})
	require.NoError(t, err)
	owner, err := models.ParseID[models.BusinessPrefix](business)
	require.NoError(t, err)
	store := webhook.NewStore(webhook.Options{Keyring: keyring})
	var created models.Webhook
	require.NoError(t, c.db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		created, _, err = store.Create(tx, owner, webhook.Fields{URL: "https://example.com/hook", EventTypes: []string{"*"}})
		return err
	}))
	for range failed {
		event, delivery := models.NewID[models.EventPrefix](), models.NewID[models.DeliveryPrefix]()
		_, err = c.db.Pool.Exec(t.Context(), `INSERT INTO webhook_events (business_id, id, type, body, created_at)
			VALUES ($1, $2, 'account.created', '{}', now())`, owner, event)
		require.NoError(t, err)
		_, err = c.db.Pool.Exec(t.Context(), `INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status,
			attempt_count, run_attempt, next_attempt_at, sequence, created_at, finished_at, failure_reason)
			VALUES ($1, $2, $3, $4, 'failed', 3, 3, now(), 1, now(), now(), 'no more attempts')`, owner, delivery, event, created.ID)
		require.NoError(t, err)
	}
	return created.ID.String()
}

func TestWebhookListAndShow(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business, other := c.business(t), c.business(t)
	first, second := c.endpoint(t, business, 0), c.endpoint(t, business, 0)
	c.endpoint(t, other, 0)
	page := c.ok(t, "webhook", "list", "--business", business, "--limit", "1")
	require.Equal(t, second, data(t, page)[0]["id"])
	rest := c.ok(t, "webhook", "list", "--business", business, "--cursor", c.text(t, page, "next_cursor"))
	require.Len(t, data(t, rest), 1)
	one := c.ok(t, "webhook", "show", first)
	require.Equal(t, map[string]any{
		"breaker": "closed", "blocked_until": nil, "failing_since": nil,
		"success_rate": nil, "pending_count": 0., "oldest_pending_at": nil,
	}, one["health"])
	delete(one, "health")
	require.Equal(t, data(t, rest)[0], one)
	require.Contains(t, c.run(t, "webhook", "show", first).out, "BREAKER         closed\n")

	shown := c.run(t, "webhook", "show", first, "-o", "json").out
	require.NotContains(t, shown, "secret")
	unknown := models.NewID[models.WebhookPrefix]().String()
	require.Equal(t, exitNotFound, c.run(t, "webhook", "show", unknown).code)
	require.Equal(t, exitNotFound, c.run(t, "webhook", "enable", unknown).code)
	require.Equal(t, exitNotFound, c.run(t, "webhook", "list", "--business", models.NewID[models.BusinessPrefix]().String()).code)
}

func TestWebhookDisableAndEnable(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	id := c.endpoint(t, business, 0)
	require.Equal(t, exitUsage, c.run(t, "webhook", "disable", id).code, "it asks")
	disabled := c.ok(t, "webhook", "disable", id, "--reason", "gone", "--yes")
	require.Equal(t, "disabled", disabled["status"])
	require.Equal(t, "gone", disabled["disabled_reason"])
	c.ok(t, "webhook", "disable", id, "--yes")
	require.Equal(t, exitRefused, c.run(t, "webhook", "replay", "--endpoint", id).code, "a disabled endpoint gets nothing")
	require.Equal(t, "active", c.ok(t, "webhook", "enable", id)["status"])
	c.ok(t, "webhook", "enable", id)

	entries := data(t, c.ok(t, "audit", "list", "--target", id))
	require.Len(t, entries, 2, "what changes nothing is not logged")
	require.Equal(t, "webhook.enabled", entries[0]["action"])
	require.Equal(t, map[string]any{"status": "disabled", "disabled_reason": "gone"}, entries[0]["before"])
	require.Equal(t, "webhook.disabled", entries[1]["action"])
}

// TestWebhookEnableLiftsABreaker: that too is told, though the status stays.
func TestWebhookEnableLiftsABreaker(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	id := c.endpoint(t, c.business(t), 0)
	_, err := c.db.Pool.Exec(t.Context(), `UPDATE webhook_lanes SET breaker_failures = $1, blocked_until = '2999-01-01', failing_since = now()`,
		outbox.BreakerThreshold)
	require.NoError(t, err)
	for range 2 { // the second changes nothing
		require.Equal(t, "active", c.ok(t, "webhook", "enable", id)["status"])
	}
	require.Contains(t, c.run(t, "webhook", "show", id).out, "BREAKER         closed\n")
	entries := data(t, c.ok(t, "audit", "list", "--target", id))
	require.Len(t, entries, 1)
	require.Equal(t, "webhook.enabled", entries[0]["action"])
	require.Equal(t, map[string]any{
		"status": "active", "disabled_reason": nil, "breaker": "open", "blocked_until": "2999-01-01T00:00:00.000000Z",
	}, entries[0]["before"])
	require.Equal(t, map[string]any{"status": "active", "disabled_reason": nil}, entries[0]["after"])
}

func TestWebhookFailed(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	one, two := c.endpoint(t, business, 2), c.endpoint(t, business, 1)
	c.endpoint(t, c.business(t), 1)
	all := data(t, c.ok(t, "webhook", "failed", "--business", business))
	require.Len(t, all, 3)
	require.Equal(t, two, all[0]["webhook_id"])
	require.Equal(t, "failed", all[0]["status"])
	require.Equal(t, "account.created", all[0]["event_type"])
	require.Equal(t, "no more attempts", all[0]["failure_reason"])
	require.InDelta(t, 3, all[0]["attempt_count"], 0)

	page := c.ok(t, "webhook", "failed", "--endpoint", one, "--limit", "1")
	rest := data(t, c.ok(t, "webhook", "failed", "--endpoint", one, "--cursor", c.text(t, page, "next_cursor")))
	require.Len(t, rest, 1)
	require.NotEqual(t, data(t, page)[0]["id"], rest[0]["id"])
	require.Empty(t, data(t, c.ok(t, "webhook", "failed", "--business", business, "--since", "2999-01-01T00:00:00Z")))
	require.Contains(t, c.run(t, "webhook", "failed", "--endpoint", two).out, "no more attempts")
	for _, line := range []string{"webhook failed", "webhook failed --business x --endpoint y"} {
		require.Equal(t, exitUsage, c.run(t, strings.Fields(line)...).code)
	}
}
