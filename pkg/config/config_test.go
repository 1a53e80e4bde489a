package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/config"
)

// No test here may be parallel: they set environment variables.

func TestSampleFilesHoldTheDefaults(t *testing.T) {
	for _, name := range []string{"api.yaml", "dispatcher.yaml"} {
		loaded, err := config.Load(filepath.Join("../../configs", name))
		require.NoError(t, err)
		want := config.Default()
		want.Database.URL = "postgres://txn@localhost:5432/txn"
		require.Equal(t, want, loaded, name)
		require.NoError(t, loaded.Validate())
	}
}

func TestEnvironmentWins(t *testing.T) {
	t.Setenv("TXN_DATABASE_URL", "postgres://env/db")
	t.Setenv("TXN_RATE_LIMIT_PER_IP", "")
	t.Setenv("TXN_WEBHOOKS_RETRY_SCHEDULE", "100ms, 2s")
	t.Setenv("TXN_WEBHOOKS_ALLOW_INSECURE", "true")
	t.Setenv("TXN_API_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1")
	t.Setenv("TXN_LEDGER_COMMITTERS", "3")
	loaded, err := config.Load("../../configs/api.yaml")
	require.NoError(t, err)
	require.Equal(t, "postgres://env/db", loaded.Database.URL)
	require.Empty(t, loaded.RateLimit.PerIP, "a variable that is set but empty counts as set")
	require.Equal(t, []time.Duration{100 * time.Millisecond, 2 * time.Second}, loaded.Webhooks.RetrySchedule)
	require.True(t, loaded.Webhooks.AllowInsecure)
	require.Equal(t, []string{"10.0.0.0/8", "192.0.2.1"}, loaded.API.TrustedProxies)
	require.Equal(t, 3, loaded.Ledger.Committers)
}

func TestUnknownKeyIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.yaml")
	require.NoError(t, os.WriteFile(file, []byte("api:\n  listne: ':1'\n"), 0o600))
	_, err := config.Load(file)
	require.ErrorContains(t, err, "listne")
}

func TestFileNeedsNoExtension(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings")
	require.NoError(t, os.WriteFile(file, []byte("log: {level: warn}\n"), 0o600))
	loaded, err := config.Load(file)
	require.NoError(t, err)
	require.Equal(t, "warn", loaded.Log.Level)
}

func TestBadValuesAreNamed(t *testing.T) {
	t.Setenv("TXN_WEBHOOKS_TIMEOUT", "soon")
	_, err := config.Load("")
	require.ErrorContains(t, err, "webhooks.timeout")
}

func TestNoEndpointsAtAllIsRefused(t *testing.T) {
	t.Setenv("TXN_DATABASE_URL", "postgres://h/d")
	t.Setenv("TXN_WEBHOOKS_MAX_PER_BUSINESS", "0")
	loaded, err := config.Load("")
	require.NoError(t, err)
	require.ErrorContains(t, loaded.Validate(), "webhooks.max_per_business")
}

func TestMissingURLIsNamed(t *testing.T) {
	loaded, err := config.Load("")
	require.NoError(t, err)
	require.ErrorContains(t, loaded.Validate(), "TXN_DATABASE_URL")
}

func TestNothingSecretIsPrinted(t *testing.T) {
	const key = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="
	t.Setenv("TXN_SECURITY_ENCRYPTION_KEYS", key)
	t.Setenv("TXN_DATABASE_URL", "postgres://u:hunter2@h/d?sslpassword=hunter3")
	t.Setenv("TXN_REDIS_URL", "redis://:hunter4@h/0")
	t.Setenv("TXN_WEBHOOKS_PROXY", "http://u:hunter5@proxy:3128")
	loaded, err := config.Load("")
	require.NoError(t, err)
	keys, err := loaded.Security.Keys()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	text := loaded.String()
	require.NotContains(t, text, key)
	require.NotContains(t, text, "hunter")
	require.Contains(t, text, "per_ip: 20-M")
}

func TestBadEncryptionKeyIsNotQuoted(t *testing.T) {
	t.Setenv("TXN_DATABASE_URL", "postgres://h/d")
	t.Setenv("TXN_SECURITY_ENCRYPTION_KEYS", "tooshort")
	loaded, err := config.Load("")
	require.NoError(t, err)
	err = loaded.Validate()
	require.ErrorContains(t, err, "key 1")
	require.NotContains(t, err.Error(), "tooshort")
}

func TestProxyIsCheckedAndNotQuoted(t *testing.T) {
	t.Setenv("TXN_DATABASE_URL", "postgres://h/d")
	for proxy, good := range map[string]bool{
		"": true, "http://proxy:3128": true, "https://u:hunter2@proxy": true,
		"proxy:3128": false, "socks5://u:hunter2@proxy": false, "http://": false, "http://u:hunter2@pro xy": false,
	} {
		t.Setenv("TXN_WEBHOOKS_PROXY", proxy)
		loaded, err := config.Load("")
		require.NoError(t, err)
		err = loaded.Validate()
		if good {
			require.NoError(t, err, proxy)
			continue
		}
		require.ErrorContains(t, err, "webhooks.proxy", proxy)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestCollectorIsCheckedAndFound(t *testing.T) {
	t.Setenv("TXN_DATABASE_URL", "postgres://h/d")
	for endpoint, traces := range map[string]string{
		"":                                      "",
		"http://collector:4318":                 "http://collector:4318/v1/traces",
		"http://collector:4318/":                "http://collector:4318/v1/traces",
		"https://collector/otlp":                "https://collector/otlp/v1/traces",
		"https://collector/otlp/v1/traces":      "https://collector/otlp/v1/traces",
		"https://collector/otlp/v1/traces/":     "https://collector/otlp/v1/traces",
		"collector:4318":                        "refused",
		"grpc://collector:4317":                 "refused",
		"http://":                               "refused",
		"http://u:hunter2@collector":            "refused",
		"http://collector/?key=hunter2":         "refused",
		"http://u:hunter2@col lector/v1/traces": "refused",
	} {
		t.Setenv("TXN_OTEL_ENDPOINT", endpoint)
		loaded, err := config.Load("")
		require.NoError(t, err)
		err = loaded.Validate()
		if traces == "refused" {
			require.ErrorContains(t, err, "otel.endpoint", endpoint)
			require.NotContains(t, err.Error(), "hunter2")
			continue
		}
		require.NoError(t, err, endpoint)
		got, err := loaded.OTel.TracesURL()
		require.NoError(t, err)
		require.Equal(t, traces, got)
	}
}

func TestSampleRatioIsAPart(t *testing.T) {
	t.Setenv("TXN_DATABASE_URL", "postgres://h/d")
	for text, good := range map[string]bool{"0": true, "0.01": true, "1": true, "-0.1": false, "1.1": false, "NaN": false} {
		t.Setenv("TXN_OTEL_SAMPLE_RATIO", text)
		loaded, err := config.Load("")
		require.NoError(t, err)
		if err = loaded.Validate(); good {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, "otel.sample_ratio", text)
	}
}
