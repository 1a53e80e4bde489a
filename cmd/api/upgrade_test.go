package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/dbtest"
)

// previousRelease is the commit whose programs run beside this release's during
// an upgrade. It moves with every release: a migration has to be safe beside the
// release before, not beside all there ever were.
const previousRelease = "083eb0f7b43acb52c3e17621e45e1ee18dba46fd"

// buildPrevious builds the programs of the previous release and returns their
// folder. Where the history is not at hand, as in a shallow clone or a tarball,
// there is nothing to compare with.
func buildPrevious(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	archive, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "archive", previousRelease).Output()
	if err != nil {
		t.Skipf("commit %s is not at hand (a shallow clone?): %v", previousRelease, err)
	}
	extract := exec.CommandContext(t.Context(), "tar", "x", "-C", dir)
	extract.Stdin = bytes.NewReader(archive)
	out, err := extract.CombinedOutput()
	require.NoError(t, err, "%s", out)
	goBuild(t, dir, "-o", "bin/", "./cmd/api", "./cmd/dispatcher")
	return filepath.Join(dir, "bin")
}

// TestPreviousReleaseRunsBesideThisOne: during an upgrade the schema is new, and
// the API and the dispatcher of the release before work on it beside the new API.
// Money moves through both at once; a key that one of them saw is answered by the
// other; what one of them began, the other ends.
func TestPreviousReleaseRunsBesideThisOne(t *testing.T) {
	t.Parallel()
	bin := buildPrevious(t)
	base := dbtest.New(t)
	environment := append(os.Environ(),
		"TXN_DATABASE_URL="+base.URL, "TXN_SECURITY_ENCRYPTION_KEYS="+encryptionKey, "TXN_WEBHOOKS_ALLOW_INSECURE=true",
		"TXN_API_LISTEN=127.0.0.1:0", "TXN_API_ADMIN_LISTEN=", "TXN_RATE_LIMIT_PER_IP=", "TXN_DISPATCHER_ADMIN_LISTEN=")
	previous := func(name string) *exec.Cmd {
		command := exec.CommandContext(t.Context(), filepath.Join(bin, name))
		command.Env = environment
		return command
	}
	before := launch(t, previous("api"))
	after := spawn(t, base.URL, "TXN_WEBHOOKS_ALLOW_INSECURE=true")
	dispatcher := previous("dispatcher")
	dispatcher.Stderr = os.Stderr
	require.NoError(t, dispatcher.Start())
	t.Cleanup(func() { _ = dispatcher.Process.Kill(); _ = dispatcher.Wait() })

	// The previous release kept to a document of its own.
	unjudged := &client{key: issueKey(t, base.URL), http: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
	u := &upgrade{t: t, client: unjudged, apis: []string{before.url, after.url}}
	received := u.receiver()
	u.movements()
	u.holds()
	u.reversals()

	var events int
	require.NoError(t, base.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_events WHERE type LIKE 'transaction.%'`).Scan(&events))
	require.Positive(t, events)
	require.Eventually(t, func() bool { return received() == events }, 30*time.Second, 10*time.Millisecond,
		"the previous dispatcher delivers what both APIs wrote")

	requireSoundBooks(t, base.URL)
}

// upgrade is a tenant's view of a rollout: two addresses, one service.
type upgrade struct {
	*client
	t    *testing.T
	apis []string
}

// post sends a request to the i-th API, which must answer 201, and decodes the
// answer.
func (u *upgrade) post(i int, path, key, body string, answer any) http.Header {
	u.t.Helper()
	status, header, text, err := u.call("POST", u.apis[i%2]+path, key, body)
	require.NoError(u.t, err)
	require.Equal(u.t, http.StatusCreated, status, "%s: %s", path, text)
	require.NoError(u.t, json.Unmarshal(text, answer))
	return header
}

// receiver subscribes to transactions and tells how many events have come.
func (u *upgrade) receiver() (received func() int) {
	var mu sync.Mutex
	events := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		events[r.Header.Get("webhook-id")] = true
	}))
	u.t.Cleanup(server.Close)
	var endpoint struct{ ID string }
	u.post(1, "/v1/webhooks", "endpoint", fmt.Sprintf(`{"url":%q,"event_types":["transaction.*"]}`, server.URL), &endpoint)
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(events)
	}
}

// movements sends every transfer to both APIs at once under one key.
func (u *upgrade) movements() {
	const transfers = 40
	a := openAccount(u.t, u.client, u.apis[0], "a", 1000)
	b := openAccount(u.t, u.client, u.apis[1], "b", 1000)
	body := fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":10}`, a, b)
	answers := make([]string, 2*transfers)
	var group errgroup.Group
	for n := range answers {
		group.Go(func() error {
			status, _, text, err := u.call("POST", u.apis[n%2]+"/v1/transactions", fmt.Sprintf("move-%d", n/2), body)
			if err == nil && status != http.StatusCreated {
				err = fmt.Errorf("status %d: %s", status, text)
			}
			answers[n] = string(text)
			return err
		})
	}
	require.NoError(u.t, group.Wait())
	for n := range transfers {
		var one, other map[string]any
		require.NoError(u.t, json.Unmarshal([]byte(answers[2*n]), &one))
		require.NoError(u.t, json.Unmarshal([]byte(answers[2*n+1]), &other))
		require.Equal(u.t, one["id"], other["id"], "one movement, whoever answers")
	}
	for _, api := range u.apis {
		balance, version := balanceOf(u.t, u.client, api, a)
		require.EqualValues(u.t, 1000-10*transfers, balance)
		require.EqualValues(u.t, 1+transfers, version)
	}
}

// holds has each API capture what the other set aside.
func (u *upgrade) holds() {
	a := openAccount(u.t, u.client, u.apis[0], "holder", 1000)
	b := openAccount(u.t, u.client, u.apis[1], "taker", 1)
	for i := range u.apis {
		var hold, capture struct{ ID string }
		key := fmt.Sprintf("hold-%d", i)
		u.post(i, "/v1/holds", key, fmt.Sprintf(`{"account_id":%q,"destination_account_id":%q,"amount":100}`, a, b), &hold)
		u.post(i+1, "/v1/holds/"+hold.ID+"/capture", key, `{"amount":60,"final":true}`, &capture)
		require.True(u.t, strings.HasPrefix(capture.ID, "txn_"))
	}
	balance, _ := balanceOf(u.t, u.client, u.apis[0], a)
	require.EqualValues(u.t, 1000-2*60, balance)
}

// reversals has each API reverse what the other moved, and answer for it again.
func (u *upgrade) reversals() {
	a := openAccount(u.t, u.client, u.apis[0], "reversed", 1000)
	for i := range u.apis {
		var debit, reversal, again struct{ ID string }
		key := fmt.Sprintf("reversal-%d", i)
		u.post(i, "/v1/transactions", key, fmt.Sprintf(`{"type":"debit","source_account_id":%q,"amount":100}`, a), &debit)
		u.post(i+1, "/v1/transactions/"+debit.ID+"/reverse", key, `{"amount":40}`, &reversal)
		header := u.post(i, "/v1/transactions/"+debit.ID+"/reverse", key, `{"amount":40}`, &again)
		require.Equal(u.t, reversal.ID, again.ID)
		require.Equal(u.t, "true", header.Get("Idempotent-Replayed"))
	}
	balance, _ := balanceOf(u.t, u.client, u.apis[1], a)
	require.EqualValues(u.t, 1000-2*60, balance)
}
