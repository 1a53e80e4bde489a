package docs_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/devstack"
)

// reading is somebody who goes through a page.
type reading struct {
	t       *testing.T
	page    page
	story   story
	demo    *demo
	shell   *shell
	answers *answers
	// receiver is the address of what docs/webhooks.md starts; the pages say
	// shownReceiver.
	receiver string
	// objects are the newest ids that were seen, by prefix.
	objects  map[string]string
	executed int
}

const (
	shownReceiver = "127.0.0.1:9000"
	// source is what a newcomer pastes first.
	source = ". ~/.cache/txn-dev/env.sh\n"
	// everyScope lets a key do what a page may ask for.
	everyScope = "accounts:read,accounts:write,transactions:read,transactions:write,webhooks:read,webhooks:write"
)

func newReading(t *testing.T, p page, s story) *reading {
	t.Helper()
	r := &reading{t: t, page: p, story: s, demo: startDemo(t), answers: newAnswers(), receiver: freeAddress(t)}
	r.begin()
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// begin opens a terminal, and finds or makes the objects that the page speaks of
// without having made them.
func (r *reading) begin() {
	r.t.Helper()
	environment := append(slices.Clone(r.demo.environment), "ADDRESS="+r.receiver)
	r.objects = map[string]string{}
	if r.story.reader {
		r.shell = startShell(r.t, root, environment)
		r.ask("(\n" + source + `curl -sS "$API/v1/webhooks" -H "Authorization: Bearer $KEY"` + "\n)")
		return
	}
	if r.story.postgres {
		environment = append(environment, postgresEnvironment(r.t)...)
	}
	r.shell = startShell(r.t, r.t.TempDir(), environment) // some commands leave files
	r.ask(source + `txnctl business create --name "A page"`)
	r.ask(`ISSUED=$(txnctl key issue --name page -o json --scopes ` + everyScope + ` --business ` + r.objects["biz"] + `)
echo "$ISSUED"`)
	r.ask(`curl -sS "$API/v1/webhooks" -H "Authorization: Bearer $(echo "$ISSUED" | sed -n 's/.*"key": "\(.*\)".*/\1/p')" \
  -H 'Idempotency-Key: page' -H 'Content-Type: application/json' -d '{"url":"http://` + r.receiver + `/","event_types":["*"]}'`)
}

// ask executes a command and remembers the ids in what it prints.
func (r *reading) ask(command string) (out string) {
	r.t.Helper()
	out, _ = r.shell.run(command)
	for _, match := range ids.FindAllStringSubmatch(out, -1) {
		r.objects[match[1]] = match[0]
	}
	return out
}

// read goes through the page. An answer is compared that follows its command at once.
func (r *reading) read() {
	r.t.Helper()
	var section, last string
	for _, b := range r.page.blocks {
		switch b.language {
		case "sh":
			if r.story.perSection && b.section != section {
				section = b.section
				r.begin()
			}
			last = r.execute(b)
			continue
		case "json", "http", "text", "csv":
			if b.adjacent && last != "" {
				require.NoError(r.t, r.answers.compare(b.language, b.text, strings.ReplaceAll(last, r.receiver, shownReceiver)),
					"%s:%d", r.page.name, b.line)
			}
		}
		last = ""
	}
}

// execute returns what the last command of a block has printed.
func (r *reading) execute(b block) (out string) {
	r.t.Helper()
	if drill, isDrill := strings.CutPrefix(b.mark, "drill: "); isDrill {
		require.NotEmpty(r.t, drills[drill], "%s:%d: who executes %s?", r.page.name, b.line, drill)
		text, err := os.ReadFile(filepath.Join(root, drills[drill]))
		require.NoError(r.t, err)
		require.Regexp(r.t, `"(drill: )?`+drill+`"`, string(text), "%s executes it", drills[drill])
		return ""
	}
	for _, command := range b.commands(r.t) {
		if i := slices.IndexFunc(exceptions, func(e exception) bool { return e.command.MatchString(command) }); i >= 0 {
			r.t.Logf("not executed: %s: %s", command, exceptions[i].why)
			exceptions[i].check(r.t)
			out = r.demo.output.String()
			continue
		}
		command = r.rewrite(command)
		if program, _, _ := strings.Cut(command, " "); program == "kubectl" {
			if _, err := exec.LookPath(program); err != nil {
				r.t.Logf("there is no %s here: %s", program, command)
				continue
			}
		}
		out = r.ask(command)
		r.executed++
	}
	return out
}

// placeholder is what a reader replaces by what he has on the screen.
var placeholder = regexp.MustCompile(`\b(biz|key|acct|wh|hold|evt|dlv|rpl)_(…|01h455vb4pex5vsknk084sn02q)`)

func (r *reading) rewrite(command string) string {
	for _, rule := range rewrites {
		if rule.command.MatchString(command) {
			r.t.Logf("executed otherwise: %s: %s", command, rule.why)
			command = rule.command.ReplaceAllString(command, rule.to)
		}
	}
	command = strings.ReplaceAll(command, shownReceiver, r.receiver)
	return placeholder.ReplaceAllStringFunc(command, func(text string) string {
		prefix, _, _ := strings.Cut(text, "_")
		require.NotEmpty(r.t, r.objects[prefix], "%s: which %s?", command, text)
		return r.objects[prefix]
	})
}

// postgresEnvironment starts a server and makes it the one that PostgreSQL's programs
// talk to.
func postgresEnvironment(t *testing.T) []string {
	t.Helper()
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.Background())) })
	config, err := pgx.ParseConfig(server.URL("postgres"))
	require.NoError(t, err)
	return []string{
		"PGHOST=" + config.Host, "PGPORT=" + strconv.Itoa(int(config.Port)), "PGUSER=" + config.User,
		"PGPASSWORD=" + config.Password, "PGDATABASE=postgres",
	}
}
