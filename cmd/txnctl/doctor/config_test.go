package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings, check string
		status          Status
		detail          string
	}{
		"unknown key":            {"databse: {url: x}", "config.load", Fail, "databse"},
		"wrong type":             {"database: {max_open_conns: many}", "config.load", Fail, "max_open_conns"},
		"value out of range":     {"ledger: {max_batch: 0}", "config.values", Fail, "max_batch"},
		"no encryption keys":     {"", "config.encryption_keys", Fail, "no encryption key"},
		"not a key":              {"security: {encryption_keys: [hunter2]}", "config.encryption_keys", Fail, "key 1 is not base64"},
		"no limit":               {`rate_limit: {per_ip: ""}`, "config.rate_limit", Warn, "off"},
		"limit of 0":             {`rate_limit: {per_ip: "0"}`, "config.rate_limit", Warn, "off"},
		"limit per key alone":    {`rate_limit: {per_ip: "", per_key: 5-S}`, "config.rate_limit", Warn, "5-S per API key"},
		"default limit":          {"", "config.rate_limit", OK, "20-M"},
		"no limit at all":        {`rate_limit: {per_ip: "20 per minute"}`, "config.rate_limit", Fail, "rate_limit.per_ip"},
		"no limit per key":       {`rate_limit: {per_key: "5"}`, "config.rate_limit", Fail, "rate_limit.per_key"},
		"no log level":           {"log: {level: loud}", "config.values", Fail, "log.level"},
		"no log format":          {"log: {format: xml}", "config.values", Fail, "log.format"},
		"no proxy":               {"api: {trusted_proxies: [ingress]}", "config.trusted_proxies", Fail, "ingress"},
		"insecure webhooks":      {"webhooks: {allow_insecure: true}", "config.allow_insecure", Warn, "private addresses"},
		"database in clear":      {`database: {url: "postgres://db.example.com/txn"}`, "config.transport", Warn, "database.url"},
		"database with TLS":      {`database: {url: "postgres://db.example.com/txn?sslmode=verify-full"}`, "config.transport", OK, ""},
		"database on this host":  {`database: {url: "postgres://localhost/txn"}`, "config.transport", OK, ""},
		"redis in clear":         {`redis: {url: "redis://:s3cret@10.0.0.1:6379"}`, "config.transport", Warn, "redis.url"},
		"redis with TLS":         {`redis: {url: "rediss://10.0.0.1:6379"}`, "config.transport", OK, ""},
		"everybody is a proxy":   {`api: {trusted_proxies: ["10.0.0.1", "0.0.0.0/0"]}`, "config.trusted_proxies", Warn, "0.0.0.0/0"},
		"everybody is one on v6": {`api: {trusted_proxies: ["::/0"]}`, "config.trusted_proxies", Warn, "::/0"},
		"one proxy":              {`api: {trusted_proxies: ["10.0.0.1"]}`, "config.trusted_proxies", OK, "10.0.0.1"},
	} {
		found := byName(t, Examine(t.Context(), Options{ConfigFile: write(t, c.settings), Timeout: patience / 100}))
		require.Equal(t, c.status, found[c.check].Status, "%s: %+v", name, found[c.check])
		require.Contains(t, found[c.check].Detail, c.detail, name)
		require.NotContains(t, found[c.check].Detail, "hunter2", name)
		require.NotContains(t, found[c.check].Detail, "s3cret", name)
		if c.check == "config.load" {
			require.Equal(t, Finding{Name: "postgres.schema", Status: Skipped, Detail: "needs config.load"}, found["postgres.schema"])
		}
	}
}

func TestVariablesThatSetNothing(t *testing.T) {
	t.Parallel()
	look := func(environment ...string) Finding {
		return byName(t, Examine(t.Context(), Options{Environment: environment, ConfigFile: write(t, "")}))["config.environment"]
	}
	misspelt := look("PATH=/bin", "TXN_DATABSE_URL=postgres://ada:s3cret@db/txn", "TXN_LEDGER_COMMITTERS=2")
	require.Equal(t, Warn, misspelt.Status)
	require.Contains(t, misspelt.Detail, "TXN_DATABSE_URL")
	require.NotContains(t, misspelt.Detail, "s3cret")
	known := look("TXN_DATABASE_URL=x", "TXN_SECURITY_ENCRYPTION_KEYS=x", "TXN_RATE_LIMIT_PER_IP=", "TXN_API_KEY=x",
		"TXN_TEST_REDIS_URL=x", "TXN_SERVICE_HOST=10.0.0.1", "TXN_API_SERVICE_PORT_HTTP=80", "TXN_PORT=tcp://10.0.0.1:80", "TXN_API_PORT_80_TCP_ADDR=x")
	require.Equal(t, OK, known.Status, known.Detail)
	require.Contains(t, known.Detail, "3 variables")
}
