package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/ledger"
)

// soak is how long the model test and those of abuse go on; by default they are short.
var soak = flag.Duration("soak", 0, "how long TestLinearizable draws histories, or all tests of abuse together go on; 0: as short as they can")

const shortHistories = 12

// world is two API processes on one PostgreSQL, all of which may die at any time.
type world struct {
	database  *dbtest.Database
	server    *devstack.Postgres
	processes [2]atomic.Pointer[process]
	client    *client
}

// run executes an action until it is answered for certain, by whichever process
// answers.
func (w *world) run(h *execution, a action) (reply, error) {
	method, path, body := h.request(a)
	key := fmt.Sprintf("%s-%d", h.name, a.Number)
	for try := 0; ; try++ {
		status, _, text, err := w.client.call(method, w.processes[(a.Number+try)%2].Load().url+path, key, body)
		if err != nil || status == http.StatusServiceUnavailable {
			if try > 2000 {
				return reply{}, fmt.Errorf("no answer to %+v: %d %s %w", a, status, text, err)
			}
			time.Sleep(2 * time.Millisecond) // the process is being started again
			continue
		}
		return h.read(a, status, text)
	}
}

// execution is one history being executed: what the service called its objects.
type execution struct {
	name     string
	accounts [modelAccounts]string
	mu       sync.Mutex
	// ids of the transaction or hold that an action made, by its number.
	transactions, holds map[int]string
}

// resolve replaces the target by 0, which names nothing, when the client cannot
// know it yet.
func (h *execution) resolve(a action) action {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, hold := h.holds[a.Target]
	_, transaction := h.transactions[a.Target]
	if (a.Kind == "capture" || a.Kind == "void") && !hold || a.Kind == "reverse" && !transaction {
		a.Target = 0
	}
	return a
}

func (h *execution) request(a action) (method, path, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch a.Kind {
	case "move":
		return "POST", "/v1/transactions", h.movement(a)
	case "batch":
		items := make([]string, len(a.Items))
		for i, item := range a.Items {
			items[i] = h.movement(item)
		}
		return "POST", "/v1/transactions/batch", `{"transactions":[` + strings.Join(items, ",") + `]}`
	case "hold":
		body = fmt.Sprintf(`{"account_id":%q,"amount":%d`, h.accounts[a.From], a.Amount)
		if a.To != outside {
			body += fmt.Sprintf(`,"destination_account_id":%q`, h.accounts[a.To])
		}
		return "POST", "/v1/holds", body + "}"
	case "capture":
		return "POST", "/v1/holds/" + orUnknown(h.holds[a.Target], "hold") + "/capture", fmt.Sprintf(`{"amount":%d,"final":%t}`, a.Amount, a.Final)
	case "void":
		return "POST", "/v1/holds/" + orUnknown(h.holds[a.Target], "hold") + "/void", "{}"
	default:
		return "POST", "/v1/transactions/" + orUnknown(h.transactions[a.Target], "txn") + "/reverse", fmt.Sprintf(`{"amount":%d}`, a.Amount)
	}
}

func orUnknown(id, prefix string) string {
	if id == "" {
		return prefix + "_01h455vb4pex5vsknk084sn02q"
	}
	return id
}

func (h *execution) movement(a action) string {
	kind, sides := "transfer", ""
	if a.From == outside {
		kind = "credit"
	} else {
		sides += fmt.Sprintf(`,"source_account_id":%q`, h.accounts[a.From])
	}
	if a.To == outside {
		kind = "debit"
	} else {
		sides += fmt.Sprintf(`,"destination_account_id":%q`, h.accounts[a.To])
	}
	return fmt.Sprintf(`{"type":%q,"amount":%d%s}`, kind, a.Amount, sides)
}

// answered is every answer that the actions get.
type answered struct {
	ID      string
	Code    string
	Entries []struct {
		Sequence     int64
		BalanceAfter int64 `json:"balance_after"`
	}
	Data []answered
}

func (a answered) after() string {
	text := ""
	for _, e := range a.Entries {
		text += fmt.Sprintf("%d:%d ", e.Sequence, e.BalanceAfter)
	}
	for _, item := range a.Data {
		text += item.after()
	}
	return text
}

func (h *execution) read(a action, status int, text []byte) (reply, error) {
	var got answered
	if err := json.Unmarshal(text, &got); err != nil {
		return reply{}, fmt.Errorf("%d %q: %w", status, text, err)
	}
	if status >= http.StatusInternalServerError {
		return reply{}, fmt.Errorf("%+v: %d %s", a, status, text)
	}
	if status >= http.StatusBadRequest {
		return reply{Code: got.Code}, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch a.Kind {
	case "move":
		h.transactions[a.Number] = got.ID
	case "hold":
		h.holds[a.Number] = got.ID
	}
	return reply{Code: "ok", After: got.after()}, nil
}

// TestLinearizable executes random histories of every operation, by concurrent
// clients over two processes, while processes are killed and PostgreSQL is
// restarted, and has porcupine look for an order of the operations that explains
// every answer.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chaos, calm := context.WithCancel(context.Background())
	var disturbed sync.WaitGroup
	disturbed.Go(func() { w.disturb(t, chaos) })
	defer disturbed.Wait()
	defer calm()

	started := time.Now()
	unknown, histories := 0, 0
	for seed := int(time.Now().UnixNano() % 1_000_000); histories < shortHistories || time.Since(started) < *soak; seed++ {
		histories++
		operations := w.execute(t, seed)
		result, info := porcupine.CheckOperationsVerbose(model, operations, 20*time.Second)
		if result == porcupine.Unknown {
			unknown++
		}
		if result == porcupine.Illegal {
			file := fmt.Sprintf("%s/history-%d.html", t.TempDir(), seed)
			require.NoError(t, porcupine.VisualizePath(model, info, file))
			for _, o := range operations {
				t.Logf("%d %d–%d %s", o.ClientId, o.Call, o.Return, model.DescribeOperation(o.Input, o.Output))
			}
			require.FailNow(t, "no order of the operations explains the answers", "seed %d", seed)
		}
	}
	require.Less(t, unknown, histories, "no history could be decided in time")
	calm()
	disturbed.Wait()
	db, err := database.Open(t.Context(), database.Options{URL: w.database.URL})
	require.NoError(t, err)
	defer db.Close()
	_, err = ledger.Verify(t.Context(), db, ledger.Audit{Found: func(f ledger.Finding) { t.Errorf("%+v", f) }})
	require.NoError(t, err)
	t.Logf("%d histories, %d undecided", histories, unknown)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{server: dbtest.Server(t)}
	w.database = dbtest.NewOn(t, w.server)
	w.client = newClient(t, issueKey(t, w.database.URL))
	for i := range w.processes {
		w.spawn(t, i)
	}
	return w
}

// spawn starts a process. In the first one, commits of few movements already follow one
// another, as otherwise those of many do.
func (w *world) spawn(t *testing.T, i int) {
	t.Helper()
	w.processes[i].Store(spawn(t, w.database.URL, []string{"TXN_LEDGER_MAX_BATCH=4", "TXN_LEDGER_MAX_BATCH=512"}[i]))
}

// disturb kills processes and restarts PostgreSQL in turn.
func (w *world) disturb(t *testing.T, ctx context.Context) {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
		if n%3 == 2 {
			if err := w.server.StopImmediate(context.Background()); err != nil {
				t.Error(err)
				return
			}
			if err := w.server.Start(context.Background()); err != nil {
				t.Error(err)
				return
			}
			continue
		}
		w.processes[n%2].Load().kill()
		w.spawn(t, n%2)
	}
}

// execute runs one history and returns it as it was observed.
func (w *world) execute(t *testing.T, seed int) []porcupine.Operation {
	t.Helper()
	h := &execution{name: fmt.Sprintf("h%d", seed), transactions: map[int]string{}, holds: map[int]string{}}
	for i := range h.accounts {
		h.accounts[i] = w.open(t, fmt.Sprintf("%s-open-%d", h.name, i))
	}
	var mu sync.Mutex
	var operations []porcupine.Operation
	epoch := time.Now()
	var group errgroup.Group
	for id, actions := range history.Example(seed) {
		group.Go(func() error {
			for _, a := range actions {
				a = h.resolve(a)
				called := time.Since(epoch).Nanoseconds()
				answer, err := w.run(h, a)
				if err != nil {
					return err
				}
				mu.Lock()
				operations = append(operations, porcupine.Operation{
					ClientId: id, Input: a, Call: called, Output: answer, Return: time.Since(epoch).Nanoseconds(),
				})
				mu.Unlock()
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	called := time.Since(epoch).Nanoseconds()
	return append(operations, porcupine.Operation{
		Input: action{Kind: "read"}, Call: called, Output: w.read(t, h), Return: time.Since(epoch).Nanoseconds(),
	})
}

// certain repeats a request until it is answered with the status.
func (w *world) certain(t *testing.T, method, path, key, body string, want int) []byte {
	t.Helper()
	var text []byte
	require.Eventually(t, func() bool {
		for i := range w.processes {
			status, _, answer, err := w.client.call(method, w.processes[i].Load().url+path, key, body)
			if err == nil && status == want {
				text = answer
				return true
			}
		}
		return false
	}, 30*time.Second, 5*time.Millisecond, "%s %s", method, path)
	return text
}

func (w *world) open(t *testing.T, key string) string {
	t.Helper()
	var account struct{ ID string }
	require.NoError(t, json.Unmarshal(w.certain(t, "POST", "/v1/accounts", key, `{"name":"Model"}`, http.StatusCreated), &account))
	return account.ID
}

// read returns the final state as the model's read does.
func (w *world) read(t *testing.T, h *execution) reply {
	t.Helper()
	var s state
	for i, id := range h.accounts {
		var account struct{ Balance, Held, Version int64 }
		require.NoError(t, json.Unmarshal(w.certain(t, "GET", "/v1/accounts/"+id, "", "", http.StatusOK), &account))
		s.balance[i], s.held[i], s.version[i] = account.Balance, account.Held, account.Version
	}
	return reply{"ok", fmt.Sprint(s.balance, s.held, s.version)}
}
