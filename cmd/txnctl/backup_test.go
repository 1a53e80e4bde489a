package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/models"
)

// TestBackupsRestore executes the commands of docs/operations.md: a dump and a base
// backup while money moves, each restored, proved and served again. What was answered
// before answers its key as it did; what came after the moment of the restore is
// executed anew; and webhooks are sent again under their ids.
func TestBackupsRestore(t *testing.T) {
	t.Parallel()
	d := newDrill(t)
	source := d.startPostgres(devstack.PostgresOptions{Settings: map[string]string{
		"archive_mode": "on", "archive_command": "cp %p " + filepath.Join(d.dir, "archive") + "/%f",
	}})
	database := dbtest.NewOn(t, source)
	c := &cli{config: configFile(t, database.URL)}
	key := c.text(t, c.ok(t, "key", "issue", "--business", c.business(t), "--name", "drill"), "key")
	seen := newMailbox(t)
	stopAPI, api := d.startService("api", database.URL)
	b := &bank{t: t, key: key, url: api}
	b.open(seen.URL)

	traffic := b.move(4)
	early := ends(traffic.grow(50))
	d.run("dump", "TXN_DATABASE_URL="+database.URL)
	d.run("base-backup", "TXN_DATABASE_URL="+database.URL)
	kept := ends(traffic.grow(50))
	var moment string
	require.NoError(t, database.Pool.QueryRow(t.Context(), `SELECT to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US+00')`).Scan(&moment))
	traffic.late.Store(true)
	all := traffic.grow(50)
	traffic.stop()
	var lost []movement
	for _, m := range all {
		if m.late {
			lost = append(lost, m)
		}
	}
	require.NotEmpty(t, lost)
	lost = ends(lost)
	stopDispatcher, _ := d.startService("dispatcher", database.URL)
	seen.await(d, database.URL, 1)
	stopDispatcher()
	stopAPI()
	d.archiveAll(database)

	// From the dump.
	restored := source.URL("txn_restored")
	d.run("restore-dump", "ADMIN_URL="+source.URL("postgres"), "RESTORED_URL="+restored)
	d.run("prove", "RESTORED_URL="+restored)
	stopAPI, b.url = d.startService("api", restored)
	b.replay(early)
	stopAPI()

	// To the moment.
	home := filepath.Join(d.dir, "restored")
	require.NoError(t, os.Mkdir(home, 0o711))
	d.run("point-in-time", "RESTORE_TO="+moment, "RESTORE_DIR="+filepath.Join(home, "pgdata"))
	require.NoError(t, source.Adopt(home))
	restored = d.startPostgres(devstack.PostgresOptions{DataDir: home}).URL(database.Name)
	d.recovered(restored)
	d.run("prove", "RESTORED_URL="+restored)
	stopAPI, b.url = d.startService("api", restored)
	b.replay(kept)

	before := len(seen.receipts())
	stopDispatcher, _ = d.startService("dispatcher", restored)
	seen.await(d, restored, 2)
	require.Len(t, seen.receipts(), before, "sent again under the ids from before, and nothing else")
	for _, m := range lost {
		status, header, text := b.post(m.key, m.body)
		require.Equal(t, http.StatusCreated, status, text)
		require.Empty(t, header.Get("Idempotent-Replayed"), "it is gone, and its key executes it anew")
	}
	b.replay(lost)
	require.Eventually(t, func() bool { return len(seen.receipts()) == before+len(lost) }, time.Minute, 20*time.Millisecond)
	stopDispatcher()
	stopAPI()
	d.run("prove", "RESTORED_URL="+restored)
}

// drill executes the commands of a page.
type drill struct {
	t        *testing.T
	dir      string // that PostgreSQL reaches
	path     string // with txnctl and PostgreSQL's programs
	binaries string
	blocks   map[string]string
}

func newDrill(t *testing.T) *drill {
	t.Helper()
	tools := clientPrograms(t)
	binaries, err := buildBinaries()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "txn-drill-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "archive"), 0o777))
	require.NoError(t, os.Chmod(filepath.Join(dir, "archive"), 0o777)) // whatever the umask
	d := &drill{t: t, dir: dir, binaries: binaries, blocks: map[string]string{}}
	d.path = strings.Join([]string{tools, binaries, os.Getenv("PATH")}, string(filepath.ListSeparator))
	for _, block := range blocks(t, "../../docs/operations.md", "sh") {
		d.blocks[block.drill] = block.text
	}
	return d
}

// clientPrograms returns the folder of PostgreSQL's programs: on PATH there may be
// links to those of the server alone.
func clientPrograms(t *testing.T) string {
	t.Helper()
	found, err := devstack.FindPostgres()
	require.NoError(t, err)
	server, err := filepath.EvalSymlinks(filepath.Join(found, "postgres"))
	require.NoError(t, err)
	dir := filepath.Dir(server)
	for _, program := range []string{"createdb", "pg_basebackup", "pg_dump", "pg_restore", "pg_verifybackup", "psql"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			t.Skipf("PostgreSQL in %s has no %s: install its client programs to have restores tested", dir, program)
		}
	}
	return dir
}

// run executes a block of the page.
func (d *drill) run(block string, environment ...string) {
	d.t.Helper()
	require.NotEmpty(d.t, d.blocks[block], "no such block on the page")
	shell := exec.CommandContext(d.t.Context(), "sh", "-eu", "-c", d.blocks[block])
	shell.Dir = d.dir
	shell.Env = append(os.Environ(), "PATH="+d.path, "BACKUP_DIR="+d.dir, "WAL_ARCHIVE="+filepath.Join(d.dir, "archive"))
	shell.Env = append(shell.Env, environment...)
	out, err := shell.CombinedOutput()
	require.NoError(d.t, err, "%s:\n%s", block, out)
}

func (d *drill) startPostgres(options devstack.PostgresOptions) *devstack.Postgres {
	d.t.Helper()
	server, err := devstack.StartPostgres(d.t.Context(), options)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { require.NoError(d.t, server.Close(context.Background())) })
	return server
}

// startService runs a service as a process, and returns its URL when it is an API.
func (d *drill) startService(name, databaseURL string) (stop func(), url string) {
	d.t.Helper()
	command := exec.CommandContext(context.WithoutCancel(d.t.Context()), filepath.Join(d.binaries, name))
	command.Env = append(os.Environ(),
		"TXN_DATABASE_URL="+databaseURL, "TXN_SECURITY_ENCRYPTION_KEYS=c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=",
		"TXN_API_LISTEN=127.0.0.1:0", "TXN_API_ADMIN_LISTEN=", "TXN_API_SHUTDOWN_DELAY=0s", "TXN_RATE_LIMIT_PER_IP=",
		"TXN_DISPATCHER_ADMIN_LISTEN=", "TXN_WEBHOOKS_ALLOW_INSECURE=true")
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	require.NoError(d.t, err)
	require.NoError(d.t, command.Start())
	stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, out) // until it has ended
		require.NoError(d.t, command.Wait(), "%s exits 0", name)
	})
	d.t.Cleanup(stop)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line struct{ Message, API string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return stop, "http://" + line.API
		}
	}
	require.FailNow(d.t, "it does not start", name)
	return nil, ""
}

// recovered waits until a server has reached what it is to be restored to.
func (d *drill) recovered(databaseURL string) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), databaseURL)
	require.NoError(d.t, err)
	defer func() { _ = conn.Close(context.Background()) }() // it has only read
	require.Eventually(d.t, func() bool {
		var recovering bool
		return conn.QueryRow(d.t.Context(), `SELECT pg_is_in_recovery()`).Scan(&recovering) == nil && !recovering
	}, time.Minute, 20*time.Millisecond)
}

// archiveAll waits until everything that has been committed is in the archive.
func (d *drill) archiveAll(database *dbtest.Database) {
	d.t.Helper()
	var file string
	require.NoError(d.t, database.Pool.QueryRow(d.t.Context(), `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&file))
	require.Eventually(d.t, func() bool {
		_, err := os.Stat(filepath.Join(d.dir, "archive", file))
		var done bool
		return err == nil && database.Pool.QueryRow(d.t.Context(),
			`SELECT last_archived_wal >= $1 COLLATE "C" FROM pg_stat_archiver`, file).Scan(&done) == nil && done
	}, time.Minute, 20*time.Millisecond)
}

// mailbox is a receiver of webhooks that remembers the body of each id and how often
// it came.
type mailbox struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// bodies are those that came first.
	bodies map[string]string
	times  map[string]int
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{t: t, bodies: map[string]string{}, times: map[string]int{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		defer m.mu.Unlock()
		id := r.Header.Get("webhook-id")
		if m.times[id]++; m.times[id] == 1 {
			m.bodies[id] = string(text)
		}
		if m.bodies[id] != string(text) {
			t.Errorf("%s came with another body", id)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

// receipts returns how often each event has come.
func (m *mailbox) receipts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	receipts := make(map[string]int, len(m.times))
	for id, times := range m.times {
		receipts[id] = times
	}
	return receipts
}

// await waits until every movement's event of a database has come so many times.
func (m *mailbox) await(d *drill, databaseURL string, times int) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), databaseURL)
	require.NoError(d.t, err)
	defer func() { _ = conn.Close(context.Background()) }() // it has only read
	rows, err := conn.Query(d.t.Context(), `SELECT id FROM webhook_events WHERE type = 'transaction.created'`)
	require.NoError(d.t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[models.EventID])
	require.NoError(d.t, err)
	require.NotEmpty(d.t, events)
	require.Eventually(d.t, func() bool {
		receipts := m.receipts()
		for _, id := range events {
			if receipts[id.String()] != times {
				return false
			}
		}
		return true
	}, time.Minute, 20*time.Millisecond)
}

// bank is a tenant's client.
type bank struct {
	t        *testing.T
	key, url string
	from, to string
}

// movement is a transfer that was answered.
type movement struct {
	key, body string
	answer    string
	late      bool // it was sent after the moment of the restore
}

func (b *bank) call(path, key, body string) (status int, header http.Header, text string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	request.Header.Set("Authorization", "Bearer "+b.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return res.StatusCode, res.Header, string(answer)
}

func (b *bank) post(key, body string) (status int, header http.Header, text string) {
	b.t.Helper()
	return b.call("/v1/transactions", key, body)
}

// create makes something and returns its id.
func (b *bank) create(path, key, body string) string {
	b.t.Helper()
	status, _, text := b.call(path, key, body)
	require.Equal(b.t, http.StatusCreated, status, text)
	var made struct{ ID string }
	require.NoError(b.t, json.Unmarshal([]byte(text), &made))
	return made.ID
}

// open makes two accounts with money, and a webhook for movements.
func (b *bank) open(receiver string) {
	b.t.Helper()
	b.create("/v1/webhooks", "webhook", fmt.Sprintf(`{"url":%q,"event_types":["transaction.created"]}`, receiver))
	b.from, b.to = b.create("/v1/accounts", "from", `{"name":"from"}`), b.create("/v1/accounts", "to", `{"name":"to"}`)
	b.create("/v1/transactions", "credit", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1000000}`, b.from))
}

// replay sends movements again, which must be answered as they were.
func (b *bank) replay(movements []movement) {
	b.t.Helper()
	for _, m := range movements {
		status, header, text := b.post(m.key, m.body)
		require.Equal(b.t, http.StatusCreated, status, text)
		require.Equal(b.t, "true", header.Get("Idempotent-Replayed"), m.key)
		if !m.late {
			require.Equal(b.t, m.answer, text)
		}
	}
}

// traffic is money that moves until it is stopped.
type traffic struct {
	t    *testing.T
	late atomic.Bool
	stop func()

	mu       sync.Mutex
	answered []movement
}

func (b *bank) move(workers int) *traffic {
	b.t.Helper()
	tr := &traffic{t: b.t}
	ctx, cancel := context.WithCancel(context.Background())
	var moving errgroup.Group
	for worker := range workers {
		moving.Go(func() error {
			for n := 0; ctx.Err() == nil; n++ {
				m := movement{key: fmt.Sprintf("move-%d-%d", worker, n), late: tr.late.Load()}
				m.body = fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":1}`, b.from, b.to)
				status, _, text := b.post(m.key, m.body)
				if status != http.StatusCreated {
					return fmt.Errorf("%s: %d %s", m.key, status, text)
				}
				m.answer = text
				tr.mu.Lock()
				tr.answered = append(tr.answered, m)
				tr.mu.Unlock()
			}
			return nil
		})
	}
	tr.stop = sync.OnceFunc(func() { cancel(); require.NoError(b.t, moving.Wait()) })
	b.t.Cleanup(tr.stop)
	return tr
}

// ends are the first and the last movements: all would take long to repeat.
func ends(all []movement) []movement {
	const each = 25
	if len(all) <= 2*each {
		return all
	}
	return append(slices.Clone(all[:each]), all[len(all)-each:]...)
}

// grow waits for so many more movements, and returns all so far.
func (tr *traffic) grow(by int) []movement {
	tr.t.Helper()
	count := func() int { tr.mu.Lock(); defer tr.mu.Unlock(); return len(tr.answered) }
	goal := count() + by
	require.Eventually(tr.t, func() bool { return count() >= goal }, time.Minute, 5*time.Millisecond)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.answered)
}
