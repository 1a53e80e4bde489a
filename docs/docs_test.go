// Package docs_test executes the documents: every command of every page in a shell,
// against what `make run` starts, and compares the answers that the pages show with
// those that come. What needs an engine that tests do not have is in the lists below,
// with what checks it instead.
//
// It also follows the links of the pages, starts the receivers in docs/snippets, and
// holds docs/schema.md to the schema, from which `make schema` makes it.
package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// story is how the commands of a page are executed.
type story struct {
	page string
	// reader has read what `make run` printed: the page says how. Others are operators,
	// who have their settings, and a tenant to look after.
	reader bool
	// perSection begins anew under each heading.
	perSection bool
	// postgres is a server of its own for PostgreSQL's programs.
	postgres bool
	commands int // at least
}

var stories = []story{
	{page: "README.md", reader: true, commands: 15},
	{page: "docs/guide.md", reader: true, commands: 50},
	{page: "docs/webhooks.md", reader: true, commands: 5},
	{page: "docs/operations.md", postgres: true, commands: 8},
	{page: "docs/runbook.md", perSection: true, commands: 10},
}

// exception is a command that is not executed here.
type exception struct {
	command *regexp.Regexp
	why     string
	check   func(t *testing.T)
}

var exceptions = []exception{
	{regexp.MustCompile(`^make run\b`), "everything here runs on what it has started", func(t *testing.T) { startDemo(t) }},
	{regexp.MustCompile(`^helm (install|test|upgrade|rollback)`), "it needs a cluster; helm/pages_test.go renders the chart with its flags",
		func(t *testing.T) { require.FileExists(t, filepath.Join(root, "helm", "pages_test.go")) }},
	{regexp.MustCompile(`^(kubectl port-forward|go tool pprof|curl 'http://localhost:9090/debug/pprof)`), "it needs a cluster; cmd/api/profiles_test.go asks for the same profiles",
		func(t *testing.T) { require.FileExists(t, filepath.Join(root, "cmd", "api", "profiles_test.go")) }},
	{regexp.MustCompile(`^docker compose up`), "it needs Docker; helm/compose_test.go loads compose.yaml as it does", checkCompose},
}

// rewrites make a command that needs something that is not there one that needs it not.
var rewrites = []struct {
	command *regexp.Regexp
	to, why string
}{
	{regexp.MustCompile(`^make (test|lint|bench|schema|generate|fuzz|soak)`), "make --dry-run --directory='" + root + "' $1", "it takes long, needs more than there is, or is what runs now"},
	{regexp.MustCompile(`^kubectl create (.*)$`), "kubectl create --dry-run=client --output=yaml $1", "there is no cluster"},
	{regexp.MustCompile(`^kubectl exec deploy/txn-api -- `), "", "what runs in a pod runs here as well"},
	{regexp.MustCompile(`^docker compose exec api `), "", "what runs in a container runs here as well"},
	{regexp.MustCompile(`http://localhost:8080|http://txn-api\b`), "$$API", "the API has another address"},
	{regexp.MustCompile(`^createuser --pwprompt txn$`), "createuser operator", "nobody is there to type a password, and private servers have a role txn"},
	{regexp.MustCompile(`^createdb --owner=txn txn$`), "createdb --owner=operator txn", "that role"},
}

// drills are blocks that another test executes, by their mark.
var drills = map[string]string{
	"dump": "cmd/txnctl/backup_test.go", "base-backup": "cmd/txnctl/backup_test.go", "restore-dump": "cmd/txnctl/backup_test.go",
	"point-in-time": "cmd/txnctl/backup_test.go", "prove": "cmd/txnctl/backup_test.go", "services": "docs/services_test.go",
}

func checkCompose(t *testing.T) {
	t.Helper()
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		return // helm/compose_test.go does without
	}
	command := exec.CommandContext(t.Context(), "docker", "compose", "config", "--quiet")
	command.Dir = root
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestPages executes the pages.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		s := story{page: p.name}
		for _, known := range stories {
			if known.page == p.name {
				s = known
			}
		}
		if s.commands == 0 && !strings.Contains(p.text, "```sh\n") {
			continue
		}
		t.Run(strings.ReplaceAll(p.name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			r := newReading(t, p, s)
			r.read()
			require.GreaterOrEqual(t, r.executed, s.commands)
		})
	}
}

// TestEveryExceptionIsNeeded, so that the lists above say what is true.
func TestEveryExceptionIsNeeded(t *testing.T) {
	t.Parallel()
	var all []string
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language == "sh" && b.mark == "" {
				all = append(all, b.commands(t)...)
			}
		}
	}
	needed := func(pattern *regexp.Regexp) bool { return slices.ContainsFunc(all, pattern.MatchString) }
	for _, e := range exceptions {
		require.True(t, needed(e.command), "%s", e.command)
	}
	for _, r := range rewrites {
		require.True(t, needed(r.command), "%s", r.command)
	}
}
