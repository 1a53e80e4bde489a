package doctor

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// endpoint adds a webhook whose secret the key encrypts.
func (s *site) endpoint(key []byte) models.Webhook {
	s.t.Helper()
	keyring, err := webhook.NewKeyring([][]byte{key})
	require.NoError(s.t, err)
	store, business := webhook.NewStore(webhook.Options{Keyring: keyring}), s.business()
	var made models.Webhook
	require.NoError(s.t, s.open().InTx(s.t.Context(), func(tx *gorm.DB) (err error) {
		made, _, err = store.Create(tx, business, webhook.Fields{URL: "https://example.com/", EventTypes: []string{"*"}})
		return err
	}))
	return made
}

func TestSecretsThatDoNotDecrypt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.require("keys.secrets", OK, "0 secrets decrypt")
	s.endpoint(encryptionKey)
	s.require("keys.secrets", OK, "1 secret decrypts")

	other := bytes.Repeat([]byte{9}, 32)
	lost := s.endpoint(other)
	s.require("keys.secrets", Fail, lost.ID.String())
	s.options.ConfigFile = ""
	s.settings = "security: {encryption_keys: [" + base64.StdEncoding.EncodeToString(encryptionKey) + ", " +
		base64.StdEncoding.EncodeToString(other) + "]}\n"
	f := s.require("keys.secrets", Warn, "1 of 2 secrets are still encrypted with a former key")
	require.Contains(t, f.Advice, "txnctl security rotate-encryption-key")

	s.options.ConfigFile, s.settings = "", ""
	s.require("keys.secrets", Skipped, "config.encryption_keys")
}

func TestDispatchersAndTheirBacklog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.require("dispatcher.running", Warn, "nothing waits yet")
	s.require("dispatcher.backlog", OK, "0 events to fan out")

	business, event := s.business(), models.NewID[models.EventPrefix]()
	s.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at) VALUES ($1, $2, 'account.created', '{}', now())`, business, event)
	s.exec(`INSERT INTO webhook_outbox (part, business_id, event_id, type) VALUES ($1, $2, $3, 'account.created')`,
		outbox.PartOf(business), business, event)
	s.require("dispatcher.running", Fail, "webhooks wait")
	s.require("dispatcher.backlog", OK, "1 event to fan out")
	s.exec(`UPDATE webhook_events SET created_at = now() - interval '1 minute'`)
	s.require("dispatcher.backlog", Warn, "the oldest for 1m")
	s.exec(`UPDATE webhook_events SET created_at = now() - interval '1 hour'`)
	s.require("dispatcher.backlog", Fail, "the oldest for 1h0m")

	_, err := outbox.NewDispatcher(s.open()).Appear(t.Context(), 0)
	require.NoError(t, err)
	s.require("dispatcher.running", OK, "1 dispatcher runs")
	require.Equal(t, Fail, judgeBacklog(outbox.Backlog{OldestDue: 10 * time.Minute}).status)
}

func TestDisabledWebhooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.require("webhooks.disabled", OK, "none")
	for range maxListed + 1 {
		s.endpoint(encryptionKey)
	}
	s.exec(`UPDATE webhooks SET status = 'disabled', disabled_reason = 'gone'`)
	s.require("webhooks.disabled", Warn, "4 endpoints are disabled; the newest: wh_")
	s.exec(`UPDATE webhooks SET deleted_at = now()`)
	s.require("webhooks.disabled", OK, "none")
}

func TestOverdueHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	business, account := s.business(), models.NewID[models.AccountPrefix]()
	s.exec(`INSERT INTO business_accounts (business_id, id, name, currency) VALUES ($1, $2, 'Main', 'USD')`, business, account)
	s.exec(`INSERT INTO holds (business_id, id, account_id, amount, currency, idempotency_key, fingerprint, expires_at, created_at, updated_at)
		VALUES ($1, gen_random_uuid(), $2, 1, 'USD', 'k', '', now() - interval '10 s', now(), now())`, business, account)
	s.require("ledger.overdue_holds", OK, "none")
	s.exec(`UPDATE holds SET expires_at = now() - interval '3 minutes'`)
	s.require("ledger.overdue_holds", Fail, "1 hold is overdue, the longest by 3m")
}

func TestRedis(t *testing.T) {
	t.Parallel()
	server := dbtest.RedisServer(t)
	options, err := redis.ParseURL(server.URL())
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	set := func(name, value string) { require.NoError(t, client.ConfigSet(t.Context(), name, value).Err()) }
	s := newSite(t)
	s.settings += "redis: {url: \"" + server.URL() + "\"}\n"

	s.require("redis.reachable", OK, "it answers in")
	require.Equal(t, Warn, judgeLatency(2*limiterPatience).status)
	s.require("redis.memory", OK, "no limit")
	set("maxmemory", "100mb")
	set("maxmemory-policy", "noeviction")
	s.require("redis.memory", Warn, "noeviction")
	set("maxmemory-policy", "volatile-ttl")
	s.require("redis.memory", OK, "volatile-ttl")

	s.require("redis.notifications", OK, "xE")
	for value, status := range map[string]Status{"": Warn, "Kx": Warn, "Eg": Warn, "EA": OK} {
		set("notify-keyspace-events", value)
		require.Equal(t, status, s.examine()["redis.notifications"].Status, value)
	}
	s.require("redis.persistence", OK, "none is needed")
	set("appendonly", "yes")
	s.require("redis.persistence", OK, "append-only file is on")

	// Managed servers forbid CONFIG.
	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err())
	s.require("redis.notifications", Skipped, "cannot be read")

	// Every command waits for that long.
	require.NoError(t, client.Do(t.Context(), "CLIENT", "PAUSE", "60000", "ALL").Err())
	s.options.Timeout = time.Second
	s.require("redis.reachable", Fail, "counts its rate limits for itself")
	require.NoError(t, server.StopImmediate(t.Context()))
	s.require("redis.reachable", Fail, "refused")
	require.Equal(t, Skipped, s.examine()["redis.memory"].Status)
	s.options.ConfigFile, s.settings = "", "redis: {url: \"http://:s3cret@nonsense\"}\n"
	f := s.require("redis.reachable", Fail, "redis.url")
	require.NotContains(t, f.Detail, "s3cret")
}
