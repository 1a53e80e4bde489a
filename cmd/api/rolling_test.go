package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	txn "github.com/txn-service/txn/pkg/client"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/ledger"
)

// TestARollingRestartFailsNoRequest replaces two APIs and a dispatcher one after
// the other, under load that never repeats a request. No request fails, the money is
// right, and every event arrives exactly once.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	const workers = 8
	base := dbtest.New(t)
	dispatcher := buildDispatcher(t)
	front := &balancer{t: t, replicas: []*replica{newReplica(t, base.URL), newReplica(t, base.URL)}}
	front.watch()
	sender := launchDispatcher(t, dispatcher, base.URL)

	key := issueKey(t, base.URL)
	url := "http://" + front.replicas[0].address
	setup := newClient(t, key)
	receipts := subscribe(t, setup, url)
	a, b := openAccount(t, setup, url, "a", 1_000_000), openAccount(t, setup, url, "b", 1_000_000)

	stop := make(chan struct{})
	var moved [2]atomic.Int64 // from a to b, and back
	var load sync.WaitGroup
	for worker := range workers {
		load.Go(func() {
			c := &caller{key: key, connections: map[*replica]*connection{}, partings: &front.partings}
			defer c.hangUp()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				from, to := a, b
				if n%2 == 1 {
					from, to = b, a
				}
				body := fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":1}`, from, to)
				r := front.next()
				status, answer, err := c.post(r, "/v1/transactions", fmt.Sprintf("move-%d-%d", worker, n), body)
				if err != nil || status != http.StatusCreated {
					t.Errorf("request %d of worker %d failed: %d %s %v", n, worker, status, answer, err)
					return
				}
				r.served.Add(1)
				moved[n%2].Add(1)
			}
		})
	}
	for _, r := range front.replicas {
		front.busy()
		r.process.stop(t)
		r.start(t)
		front.busy()
		sender.stop(t)
		sender = launchDispatcher(t, dispatcher, base.URL)
	}
	front.busy()
	close(stop)
	load.Wait()
	require.False(t, t.Failed())
	require.Positive(t, front.partings.Load(), "stopping APIs told clients to leave")

	out, back := moved[0].Load(), moved[1].Load()
	balance, version := balanceOf(t, setup, url, a)
	require.Equal(t, 1_000_000-out+back, balance)
	require.Equal(t, 1+out+back, version)
	requireSoundBooks(t, base.URL)
	events := int(2 + out + back) // two credits opened the accounts
	require.Eventually(t, func() bool { distinct, _ := receipts(); return distinct == events }, time.Minute, 20*time.Millisecond)
	_, total := receipts()
	require.Equal(t, events, total, "a dispatcher that is told to stop sends nothing twice")
	sender.stop(t)
}

// balancer sends each request to the next replica that says it is ready.
type balancer struct {
	t        *testing.T
	replicas []*replica
	turn     atomic.Int64
	// partings counts the answers that ended their connection.
	partings atomic.Int64
}

// replica is a place where an API runs: one process after the other.
type replica struct {
	address  string
	database string
	process  *process
	starts   atomic.Int64
	ready    atomic.Bool
	served   atomic.Int64
}

func newReplica(t *testing.T, databaseURL string) *replica {
	t.Helper()
	port, err := devstack.FreePort()
	require.NoError(t, err)
	r := &replica{address: fmt.Sprintf("127.0.0.1:%d", port), database: databaseURL}
	r.start(t)
	return r
}

func (r *replica) start(t *testing.T) {
	t.Helper()
	r.starts.Add(1)
	r.process = spawn(t, r.database, "TXN_WEBHOOKS_ALLOW_INSECURE=true", "TXN_API_LISTEN="+r.address)
}

// watch asks every replica for its readiness, many times in the two seconds that a
// stopping one leaves for that by default.
func (b *balancer) watch() {
	stop := make(chan struct{})
	var watching sync.WaitGroup
	b.t.Cleanup(func() { close(stop); watching.Wait() })
	judged := apitest.Contract(b.t).Transport(b.t, &http.Transport{DisableKeepAlives: true})
	client := &http.Client{Transport: judged, Timeout: time.Second}
	for _, r := range b.replicas {
		watching.Go(func() {
			for {
				res, err := client.Get("http://" + r.address + "/readyz")
				if err == nil {
					res.Body.Close()
				}
				r.ready.Store(err == nil && res.StatusCode == http.StatusOK)
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	b.busyUntil(func(r *replica) bool { return r.ready.Load() })
}

func (b *balancer) next() *replica {
	for tries := 1; ; tries++ {
		if r := b.replicas[int(b.turn.Add(1))%len(b.replicas)]; r.ready.Load() {
			return r
		}
		if tries%len(b.replicas) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// busy waits until every replica has answered some more requests.
func (b *balancer) busy() {
	b.t.Helper()
	goals := map[*replica]int64{}
	for _, r := range b.replicas {
		goals[r] = r.served.Load() + 50
	}
	b.busyUntil(func(r *replica) bool { return r.served.Load() >= goals[r] })
}

func (b *balancer) busyUntil(done func(*replica) bool) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return !slices.ContainsFunc(b.replicas, func(r *replica) bool { return !done(r) })
	}, time.Minute, 5*time.Millisecond, "a replica does not get to answer")
}

// caller is a client that keeps its connections and never sends anything twice, not
// even what Go's own client would.
type caller struct {
	key         string
	connections map[*replica]*connection
	partings    *atomic.Int64
}

// connection leads to one process: when that has gone, so has the connection, which
// any client sees by the next time that it needs one.
type connection struct {
	net.Conn
	answers *bufio.Reader
	start   int64
}

func (c *caller) post(r *replica, path, idempotencyKey, body string) (status int, answer []byte, err error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+r.address+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", idempotencyKey)
	open, start := c.connections[r], r.starts.Load()
	if open != nil && open.start != start {
		open.Close()
		open = nil
	}
	if open == nil {
		dialled, err := net.DialTimeout("tcp", r.address, 10*time.Second)
		if err != nil {
			return 0, nil, err
		}
		open = &connection{dialled, bufio.NewReader(dialled), start}
		c.connections[r] = open
	}
	if err := open.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	if err := request.Write(open); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(open.answers, request)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		return 0, nil, err
	}
	if res.Close {
		c.partings.Add(1)
		delete(c.connections, r)
		return res.StatusCode, answer, open.Close()
	}
	return res.StatusCode, answer, nil
}

func (c *caller) hangUp() {
	for _, open := range c.connections {
		open.Close()
	}
}

// subscribe makes an endpoint for movements, and counts what it receives: different
// events, and all.
func subscribe(t *testing.T, c *client, url string) (receipts func() (distinct, total int)) {
	t.Helper()
	var mu sync.Mutex
	total, seen := 0, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		total++
		seen[r.Header.Get("webhook-id")] = true
	}))
	t.Cleanup(server.Close)
	_, err := c.at(t, url).Webhooks.Create(t.Context(), txn.NewWebhook{
		URL: server.URL, EventTypes: []txn.EventType{txn.EventTypeTransactionAll},
	})
	require.NoError(t, err)
	return func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(seen), total
	}
}

// stop ends the process as a deployment does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.command.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.exited:
		require.NoError(t, err, "it finishes and exits 0")
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the process does not end")
	}
}

func launchDispatcher(t *testing.T, program, databaseURL string) *process {
	t.Helper()
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(),
		"TXN_DATABASE_URL="+databaseURL, "TXN_SECURITY_ENCRYPTION_KEYS="+encryptionKey,
		"TXN_WEBHOOKS_ALLOW_INSECURE=true", "TXN_DISPATCHER_ADMIN_LISTEN=")
	return launch(t, command)
}

// buildDispatcher builds this release's dispatcher.
func buildDispatcher(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "dispatcher")
	goBuild(t, ".", "-o", program, "../dispatcher")
	return program
}

// goBuild runs go build in a folder. What the programs import is compiled already,
// with the race detector or not.
func goBuild(t *testing.T, dir string, args ...string) {
	t.Helper()
	args = append([]string{"build", "-ldflags=-s -w"}, args...)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = slices.Insert(args, 1, "-race")
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir = dir
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// requireSoundBooks audits everything.
func requireSoundBooks(t *testing.T, databaseURL string) {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: databaseURL})
	require.NoError(t, err)
	defer db.Close()
	var findings []string
	_, err = ledger.Verify(t.Context(), db, ledger.Audit{Found: func(f ledger.Finding) { findings = append(findings, fmt.Sprint(f)) }})
	require.NoError(t, err)
	require.Empty(t, findings)
}
