package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/models"
)

var update = flag.Bool("update", false, "write testdata/fields.txt anew")

const fieldsFile = "testdata/fields.txt"

// noResult are the commands that print none of their own.
var noResult = []string{"dev", "completion bash", "completion fish", "completion powershell", "completion zsh"}

// TestFieldsAreStable: scripts rely on the names. What this finds different was
// renamed or removed, which breaks them, or is new, and is then to be kept:
//
//	go test ./cmd/txnctl -run TestFieldsAreStable -update
func TestFieldsAreStable(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	lines := outputs(t, c)
	var text strings.Builder
	seen := map[string]bool{}
	for _, line := range lines {
		r := line.on.run(t, append(strings.Fields(line.args), "-o", "json")...)
		require.Contains(t, []int{exitDone, exitFailed}, r.code, "%s: %s", line.args, r.err)
		var object, same any
		require.NoError(t, json.Unmarshal([]byte(r.out), &object), "%s: %s%s", line.args, r.out, r.err)
		require.NoError(t, yaml.Unmarshal([]byte(r.out), &same), "JSON is YAML")
		text.WriteString(line.name + "\n")
		for _, field := range fieldsOf(object) {
			text.WriteString("  " + field + "\n")
		}
		seen[strings.Split(line.name, ":")[0]] = true
	}
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(fieldsFile, []byte(text.String()), 0o600))
		return
	}
	golden, err := os.ReadFile(fieldsFile)
	require.NoError(t, err)
	require.Equal(t, string(golden), text.String())
	everyCommand(func(path string, cmd *cobra.Command) {
		if path != "" && isLeaf(cmd) && !slices.Contains(noResult, path) {
			require.True(t, seen[path], "%s is missing here", path)
		}
	})
}

// line is a command whose result is looked at; its name in the file may have a
// remark after a colon.
type line struct {
	on         *cli
	name, args string
}

// outputs lists every command that has a result, on a database where each has
// something to show.
func outputs(t *testing.T, c *cli) []line {
	t.Helper()
	business := c.business(t)
	endpoint, spare := c.endpoint(t, business, 2), c.endpoint(t, business, 0)
	key := c.text(t, c.ok(t, "key", "issue", "--business", business, "--name", "ci"), "id")
	account := c.funded(t, business, 100, 20)
	api := apitest.New(t)
	reachable := &cli{config: configFile(t, api.DatabaseURL)}
	keyed := &cli{config: configText(t, fmt.Sprintf("database: {url: %q}\nsecurity: {encryption_keys: [%s]}\n",
		c.url, base64.StdEncoding.EncodeToString(make([]byte, 32))))}
	replay := c.text(t, c.ok(t, "webhook", "replay", "--endpoint", endpoint, "--no-wait"), "id")
	delivery := c.text(t, data(t, c.ok(t, "webhook", "failed", "--endpoint", endpoint))[0], "id")
	return []line{
		{c, "audit list", "audit list --limit 1"},
		{reachable, "bench", "bench --url " + api.URL + " --key " + api.Key + " --duration 100ms --accounts 2"},
		{c, "business create", "business create --name Globex"},
		{c, "business list", "business list --limit 1"},
		{c, "business resume", "business resume " + business},
		{c, "business show", "business show " + business},
		{c, "business suspend", "business suspend --yes " + c.business(t)},
		{c, "business update", "business update --name Acme " + business},
		{c, "doctor", "doctor"},
		{c, "key issue", "key issue --name x --business " + business},
		{c, "key list", "key list --business " + business},
		{c, "key rotate", "key rotate " + key},
		{c, "key revoke", "key revoke --yes " + key},
		{c, "ledger balance", "ledger balance " + account},
		{c, "ledger balance: past", "ledger balance --at 2999-01-01T00:00:00Z " + account},
		{c, "ledger statement", "ledger statement " + account},
		{c, "ledger verify", "ledger verify"},
		{c, "ledger verify: broken", "ledger verify --business " + broken(t, c)},
		{c, "migrate status", "migrate status"},
		{c, "migrate up", "migrate up"},
		{keyed, "security rotate-encryption-key", "security rotate-encryption-key --dry-run"},
		{reachable, "smoke", "smoke --url " + api.URL},
		{c, "version", "version"},
		{c, "webhook disable", "webhook disable --yes " + spare},
		{c, "webhook enable", "webhook enable " + spare},
		{c, "webhook failed", "webhook failed --business " + business},
		{c, "webhook list", "webhook list --business " + business},
		{c, "webhook replay", "webhook replay --delivery " + delivery},
		{c, "webhook replay: dry run", "webhook replay --dry-run --business " + business},
		{c, "webhook replay list", "webhook replay list --business " + business},
		{c, "webhook replay show", "webhook replay show " + replay},
		{c, "webhook replay cancel", "webhook replay cancel " + replay},
		{c, "webhook replay watch", "webhook replay watch " + replay},
		{c, "webhook show", "webhook show " + endpoint},
		{c, "migrate down", "migrate down --yes"},
	}
}

// broken is a business whose books are wrong.
func broken(t *testing.T, c *cli) string {
	t.Helper()
	id := c.business(t)
	c.funded(t, id, 5)
	business, err := models.ParseID[models.BusinessPrefix](id)
	require.NoError(t, err)
	_, err = c.db.Pool.Exec(t.Context(), `UPDATE business_accounts SET balance = balance + 1 WHERE business_id = $1`, business)
	require.NoError(t, err)
	return id
}

// free are fields whose own fields are the user's.
var free = []string{"metadata", "headers", "errors", "before", "after"}

// fieldsOf lists the names in an object, those inside of others with a dot, those
// in a list with [].
func fieldsOf(value any) []string {
	var names []string
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, inner := range v {
				names = append(names, prefix+name)
				if !slices.Contains(free, name) {
					walk(prefix+name+".", inner)
				}
			}
		case []any:
			for _, inner := range v {
				walk(strings.TrimSuffix(prefix, ".")+"[].", inner)
			}
		}
	}
	walk("", value)
	slices.Sort(names)
	return slices.Compact(names)
}
