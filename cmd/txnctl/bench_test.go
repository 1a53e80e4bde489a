package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
)

func TestBench(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(keyFile, []byte(api.Key+"\n"), 0o600))
	c := &cli{config: configText(t, "")}
	result := c.ok(t, "bench", "--url", api.URL+"/", "--key-file", keyFile, "--duration", "300ms", "--connections", "4", "--accounts", "4")
	require.Positive(t, result["movements"])
	require.Equal(t, "ok", result["verification"].(map[string]any)["status"])
	require.Equal(t, map[string]any{}, result["errors"])

	r := c.run(t, "bench", "--url", api.URL, "--key", api.Key, "--duration", "1100ms", "--accounts", "3", "--mode", "batch", "--batch-size", "5")
	require.Equal(t, exitDone, r.code, r.err)
	for _, want := range []string{`(?m)^MOVEMENTS/S\s+\d+$`, `(?m)^P99\s+[0-9.]+ ms$`, `(?m)^ERRORS\s+-$`, `(?m)^BALANCES\s+ok: every balance`} {
		require.Regexp(t, want, r.out)
	}
	require.Regexp(t, `(?m)^ +1 s +\d+ movements/s  p50 +[0-9.]+ ms  p99 +[0-9.]+ ms$`, r.err, "plain lines where there is no terminal")
	require.Contains(t, r.err, "stay, with their money")
	require.NotContains(t, r.out+r.err, api.Key)
}

func TestBenchSaysThatItIsLimited(t *testing.T) {
	t.Parallel()
	api := apitest.New(t, apitest.Options{PerIP: "5-M"})
	c := &cli{config: configText(t, "")}
	r := c.run(t, "bench", "--url", api.URL, "--key", api.Key, "--accounts", "10")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "raise rate_limit.per_ip")
}

func TestBenchUsage(t *testing.T) {
	t.Setenv("TXN_API_KEY", "")
	c := &cli{config: configText(t, "")}
	for line, want := range map[string]string{
		"bench":                                                               "--url",
		"bench --url http://127.0.0.1:1":                                      "TXN_API_KEY",
		"bench --url ftp://x --key k":                                         "--url",
		"bench --url localhost:8080 --key k":                                  "--url",
		"bench --url http://txn.example.com --key k":                          "--insecure",
		"bench --url https://txn.example.com --key k":                         "--yes",
		"bench --url http://127.0.0.1:1 --key-file /x":                        "--key-file",
		"bench --url http://127.0.0.1:1 --key k --key-file /x":                "one of --key and --key-file",
		"bench --url http://127.0.0.1:1 --key k --mode sideways":              "--mode",
		"bench --url http://127.0.0.1:1 --key k --connections 0":              "--connections",
		"bench --url http://127.0.0.1:1 --key k --duration 0s":                "--duration",
		"bench --url http://127.0.0.1:1 --key k --rate -1":                    "--rate",
		"bench --url http://127.0.0.1:1 --key k --rate NaN":                   "--rate",
		"bench --url http://127.0.0.1:1 --key k --accounts 1":                 "two accounts",
		"bench --url http://127.0.0.1:1 --key k --account acct_1":             "two accounts",
		"bench --url http://127.0.0.1:1 --key k --mode batch --batch-size -1": "--batch-size",
		"bench --url http://127.0.0.1:1 --key k --funds -1":                   "--funds",
	} {
		r := c.run(t, strings.Fields(line)...)
		require.Equal(t, exitUsage, r.code, "%s: %s", line, r.err)
		require.Contains(t, r.err, want, line)
	}
	r := c.run(t, "bench", "--url", "http://127.0.0.1:1", "--key", "txn_s3cret")
	require.Equal(t, exitFailed, r.code, r.err)
	require.NotContains(t, r.err, "s3cret")
}
