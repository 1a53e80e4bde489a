package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/models"
)

// cli runs command lines against one database.
type cli struct {
	config string
	url    string
	db     *database.DB
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	url := dbtest.New(t).URL
	db, err := database.Open(t.Context(), database.Options{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return &cli{config: configFile(t, url), url: url, db: db}
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

func (c *cli) run(t *testing.T, args ...string) result {
	t.Helper()
	return c.converse(t, "", false, args...)
}

// converse runs a command with somebody (or something) at its standard input.
func (c *cli) converse(t *testing.T, in string, terminal bool, args ...string) result {
	t.Helper()
	return c.execute(t, t.Context(), in, terminal, args...)
}

// runUntil runs a command that is interrupted when ctx ends.
func (c *cli) runUntil(t *testing.T, ctx context.Context, args ...string) result {
	t.Helper()
	return c.execute(t, ctx, "", false, args...)
}

func (c *cli) execute(t *testing.T, ctx context.Context, in string, terminal bool, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	s := &session{in: strings.NewReader(in), out: &out, err: &errOut, terminal: terminal}
	code := execute(ctx, s, append([]string{"--config", c.config}, args...))
	require.NoError(t, disclosure.Learn(out.String()))
	require.Empty(t, disclosure.In(errOut.String()), "secrets are for standard output")
	return result{code: code, out: out.String(), err: errOut.String()}
}

// ok runs a command that must succeed and decodes its JSON.
func (c *cli) ok(t *testing.T, args ...string) map[string]any {
	t.Helper()
	r := c.run(t, append(args, "-o", "json")...)
	require.Equal(t, exitDone, r.code, "%v: %s", args, r.err)
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(r.out))
	require.NoError(t, decoder.Decode(&object), r.out)
	require.False(t, decoder.More(), "one object and no more: %s", r.out)
	return object
}

func (c *cli) text(t *testing.T, object map[string]any, field string) string {
	t.Helper()
	text, ok := object[field].(string)
	require.True(t, ok, "%s in %v", field, object)
	return text
}

func (c *cli) business(t *testing.T) string {
	t.Helper()
	return c.text(t, c.ok(t, "business", "create", "--name", "Acme"), "id")
}

func data(t *testing.T, object map[string]any) []map[string]any {
	t.Helper()
	list, ok := object["data"].([]any)
	require.True(t, ok, "%v", object)
	items := make([]map[string]any, len(list))
	for i, item := range list {
		items[i], ok = item.(map[string]any)
		require.True(t, ok)
	}
	return items
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for _, line := range []string{
		"nonsense",
		"business nonsense",
		"business create",
		"business create --name",
		"business create --nonsense",
		"business create Acme --name Acme",
		"business list --limit 0",
		"business list --limit 201",
		"business list --limit ten",
		"business list --cursor x",
		"business list --status sleepy",
		"business create --name x --metadata y",
		"business list -o xml",
		"business show",
		"business show a b",
		"business update biz_01h455vb4pex5vsknk084sn02q",
		"key issue --name ci",
		"key list",
		"key rotate",
		"key rotate key_01h455vb4pex5vsknk084sn02q --grace tomorrow",
		"key issue --business biz_01h455vb4pex5vsknk084sn02q --name ci --expires-at tomorrow",
		"key issue --business biz_01h455vb4pex5vsknk084sn02q --name ci --expires-in 1h --expires-at 2999-01-01T00:00:00Z",
		"security rotate-encryption-key now",
		"audit list --since yesterday",
		"audit list --cursor x",
		"migrate sideways",
		"version now",
	} {
		r := c.run(t, strings.Fields(line)...)
		require.Equal(t, exitUsage, r.code, "%s: %s", line, r.err)
		require.Empty(t, r.out, line)
		require.Contains(t, r.err, "txnctl: ", line)
		require.Contains(t, r.err, "--help", line)
	}
	require.Contains(t, c.run(t, "business", "lst").err, "did you mean list?")
}

func TestConfigurationMistakesAreUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*cli{
		"no such file": {config: "/nonexistent.yaml"},
		"no database":  {config: configText(t, "log: {level: info}")},
		"unknown key":  {config: configText(t, "databse: {url: x}")},
		"bad url":      {config: configText(t, `database: {url: "postgres://%zz"}`)},
	} {
		r := c.run(t, "business", "list")
		require.Equal(t, exitUsage, r.code, "%s: %s", name, r.err)
	}
}

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	c := &cli{config: configFile(t, "postgres://ada:s3cret@127.0.0.1:1/txn")}
	for _, line := range []string{"business list", "migrate status"} {
		r := c.run(t, strings.Fields(line)...)
		require.Equal(t, exitFailed, r.code, r.err)
		require.Contains(t, r.err, "cannot be reached")
		require.NotContains(t, r.err, "s3cret")
	}
}

func TestBusinessCommands(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	created := c.ok(t, "business", "create", "--name", "Acme", "--currency", "EUR", "--metadata", "region=eu", "--metadata", "list=1,2=3")
	id := c.text(t, created, "id")
	require.True(t, strings.HasPrefix(id, "biz_"))
	require.Equal(t, map[string]any{"region": "eu", "list": "1,2=3"}, created["metadata"])
	require.Equal(t, "EUR", created["default_currency"])
	require.Equal(t, "active", created["status"])
	require.Equal(t, created, c.ok(t, "business", "show", id))

	require.Equal(t, "suspended", c.ok(t, "business", "suspend", id, "--yes")["status"])
	require.Len(t, data(t, c.ok(t, "business", "list", "--status", "suspended")), 1)
	require.Equal(t, "active", c.ok(t, "--yes", "business", "resume", id)["status"])
	updated := c.ok(t, "business", "update", id, "--name", "Acme Ltd", "--metadata", "")
	require.Equal(t, "Acme Ltd", updated["name"])
	require.Empty(t, updated["metadata"])
	require.Equal(t, "EUR", updated["default_currency"])
}

func TestBusinessList(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	require.JSONEq(t, `{"data":[],"has_more":false,"next_cursor":null}`, c.run(t, "business", "list", "-o", "json").out)
	first, second := c.business(t), c.business(t)
	page := c.ok(t, "business", "list", "--limit", "1")
	require.Equal(t, second, data(t, page)[0]["id"])
	require.Equal(t, true, page["has_more"])
	rest := c.ok(t, "business", "list", "--cursor", c.text(t, page, "next_cursor"))
	require.Equal(t, first, data(t, rest)[0]["id"])
	require.Equal(t, false, rest["has_more"])
	require.Contains(t, c.run(t, "business", "list", "--limit", "1").err, "--cursor "+second)
}

func TestNotFoundAndRefused(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	unknownBusiness := models.NewID[models.BusinessPrefix]().String()
	unknownKey := models.NewID[models.APIKeyPrefix]().String()
	for line, code := range map[string]int{
		"business show " + unknownBusiness:                                exitNotFound,
		"business show acme":                                              exitNotFound,
		"business show " + unknownKey:                                     exitNotFound,
		"business resume " + unknownBusiness:                              exitNotFound,
		"business suspend --yes " + unknownBusiness:                       exitNotFound,
		"business update --name x " + unknownBusiness:                     exitNotFound,
		"key issue --name ci --business " + unknownBusiness:               exitNotFound,
		"key list --business " + unknownBusiness:                          exitNotFound,
		"key revoke --yes " + unknownKey:                                  exitNotFound,
		"key rotate " + unknownKey:                                        exitNotFound,
		"business create --name Acme --currency usd":                      exitRefused,
		"business create --name=":                                         exitRefused,
		"business update --currency dollars " + business:                  exitRefused,
		"key issue --name ci --scopes money:print --business " + business: exitRefused,
		"key issue --name ci --expires-in -1s --business " + business:     exitRefused,
	} {
		r := c.run(t, strings.Fields(line)...)
		require.Equal(t, code, r.code, "%s: %s", line, r.err)
		require.Empty(t, r.out, line)
		require.NotContains(t, r.err, "record not found", line)
	}
}

func TestKeyCommands(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	issued := c.ok(t, "key", "issue", "--business", business, "--name", "ci")
	id, key := c.text(t, issued, "id"), c.text(t, issued, "key")
	require.True(t, strings.HasPrefix(id, "key_"))
	require.Regexp(t, `^txn_[0-9A-Za-z]{38}$`, key)
	require.Len(t, issued["scopes"], 6)

	limited := c.ok(t, "key", "issue", "--business", business, "--name", "x", "--scope", "accounts:read", "--expires-in", "1h")
	require.Equal(t, []any{"accounts:read"}, limited["scopes"])
	require.NotNil(t, limited["expires_at"])

	rotated := c.ok(t, "key", "rotate", id, "--grace", "1h")
	require.NotEqual(t, key, rotated["key"])
	require.Equal(t, "ci", rotated["name"])
	revoked := c.ok(t, "key", "revoke", id, "--yes")
	require.NotNil(t, revoked["revoked_at"])
	require.Equal(t, exitRefused, c.run(t, "key", "rotate", id).code)

	listed := c.run(t, "key", "list", "--business", business, "-o", "json")
	require.Equal(t, exitDone, listed.code)
	require.NotContains(t, listed.out, `"key"`)
	require.NotContains(t, listed.out, key)
	require.Len(t, data(t, c.ok(t, "key", "list", "--business", business)), 3)
	require.Len(t, data(t, c.ok(t, "key", "list", "--business", business, "--working")), 2)
}

func TestDestructiveCommandsAsk(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	id := c.business(t)
	key := c.text(t, c.ok(t, "key", "issue", "--business", id, "--name", "ci"), "id")
	for _, args := range [][]string{{"business", "suspend", id}, {"key", "revoke", key}, {"migrate", "down"}} {
		r := c.converse(t, "y\n", false, args...)
		require.Equal(t, exitUsage, r.code, "no terminal: %v", args)
		require.Contains(t, r.err, "--yes")
		for _, answer := range []string{"\n", "n\n", "", "yess\n"} {
			r = c.converse(t, answer, true, args...)
			require.Equal(t, exitFailed, r.code, "%v answered %q", args, answer)
			require.Contains(t, r.err, "[y/N]")
			require.Empty(t, r.out)
		}
	}
	require.Equal(t, "active", c.ok(t, "business", "show", id)["status"])
	require.Equal(t, exitDone, c.converse(t, "YES\n", true, "business", "suspend", id).code)
	require.Equal(t, "suspended", c.ok(t, "business", "show", id)["status"])
}

func TestAuditList(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	began := time.Now().Add(-time.Minute).Format(time.RFC3339)
	id := c.business(t)
	key := c.text(t, c.ok(t, "key", "issue", "--business", id, "--name", "ci"), "id")
	c.ok(t, "key", "rotate", key)
	c.ok(t, "key", "revoke", key, "--yes")
	c.ok(t, "business", "suspend", id, "--yes")
	c.ok(t, "business", "resume", id)
	c.ok(t, "business", "update", id, "--name", "Acme Ltd")
	entries := data(t, c.ok(t, "audit", "list", "--business", id, "--since", began))
	var actions []any
	for _, e := range entries {
		actions = append(actions, e["action"])
		require.Equal(t, string(userOfMachine()), e["actor"])
	}
	require.Equal(t, []any{
		"business.updated", "business.resumed", "business.suspended",
		"key.revoked", "key.issued", "key.rotated", "key.issued", "business.created",
	}, actions)
	require.Equal(t, "Acme", entries[0]["before"].(map[string]any)["name"])
	require.Equal(t, "Acme Ltd", entries[0]["after"].(map[string]any)["name"])

	page := c.ok(t, "audit", "list", "--limit", "7")
	rest := data(t, c.ok(t, "audit", "list", "--cursor", c.text(t, page, "next_cursor")))
	require.Len(t, rest, 1)
	require.Len(t, data(t, c.ok(t, "audit", "list", "--target", key, "--action", "key.revoked")), 1)
	require.Empty(t, data(t, c.ok(t, "audit", "list", "--actor", "operator:nobody-here")))
	require.Empty(t, data(t, c.ok(t, "audit", "list", "--until", began)))
}

// TestOperatorIsNamed: in a container everybody is the same user.
func TestOperatorIsNamed(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	id := c.text(t, c.ok(t, "business", "create", "--name", "Acme", "--operator", "ada"), "id")
	c.ok(t, "--operator", "eve\noperator:ada", "business", "suspend", id, "--yes")
	require.Len(t, data(t, c.ok(t, "audit", "list", "--actor", "operator:ada", "--target", id)), 1)
	require.Len(t, data(t, c.ok(t, "audit", "list", "--actor", "operator:eve operator:ada", "--target", id)), 1, "one line, whoever it is")
	require.Equal(t, exitUsage, c.run(t, "business", "resume", id, "--operator", "").code)
}

func TestMigrateCommands(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	status := data(t, c.ok(t, "migrate", "status"))
	require.NotEmpty(t, status)
	require.InDelta(t, 1, status[0]["version"], 0)
	require.Equal(t, true, status[len(status)-1]["applied"])
	up := c.run(t, "migrate", "up", "-o", "json")
	require.Equal(t, exitDone, up.code)
	require.JSONEq(t, `{"data":[],"has_more":false,"next_cursor":null}`, up.out)
	require.Contains(t, up.err, "up to date")

	for range status {
		require.Len(t, data(t, c.ok(t, "migrate", "down", "--yes")), 1)
	}
	require.Contains(t, c.run(t, "migrate", "down", "--yes").err, "No migration is applied")
	r := c.run(t, "business", "list")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "txnctl migrate up")
	require.Len(t, data(t, c.ok(t, "migrate", "up")), len(status))
	require.Equal(t, exitDone, c.run(t, "business", "list").code)
}

func TestTablesAndYAML(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	name := "A rather long name: with a colon, # a hash and " + strings.Repeat("many more words ", 8) + "end"
	id := c.text(t, c.ok(t, "business", "create", "--name", name, "--metadata", "n=1", "--metadata", "yes=true"), "id")

	table := c.run(t, "business", "list").out
	lines := strings.Split(strings.TrimSpace(table), "\n")
	require.Len(t, lines, 2, "a row is a line: %s", table)
	require.Regexp(t, `^ID\s+NAME\s+STATUS\s+CURRENCY\s+CREATED`, lines[0])
	require.True(t, strings.HasPrefix(lines[1], id+" "))
	require.Contains(t, lines[1], name)
	require.NotRegexp(t, `(?m) $`, table)
	require.Regexp(t, `(?m)^METADATA\s+n=1, yes=true`, c.run(t, "business", "show", id).out)

	text := c.run(t, "business", "show", id, "-o", "yaml").out
	require.True(t, strings.HasPrefix(text, "id: "+id+"\n"), text)
	var fromYAML map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &fromYAML))
	require.Equal(t, c.ok(t, "business", "show", id), fromYAML, "the same fields, and strings stay strings")
}

func TestVersionAndCompletion(t *testing.T) {
	t.Parallel()
	c := &cli{}
	require.NotEmpty(t, c.ok(t, "version")["version"])
	require.Contains(t, c.run(t, "--version").out, "txnctl version")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := c.run(t, "completion", shell)
		require.Equal(t, exitDone, r.code)
		require.Contains(t, r.out, "txnctl")
	}
	require.Equal(t, exitUsage, c.run(t, "completion", "tcsh").code)
	help := c.run(t, "business")
	require.Equal(t, exitDone, help.code)
	require.Contains(t, help.out, "Available Commands")
}
