package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/apitest"
	txn "github.com/txn-service/txn/pkg/client"
	"github.com/txn-service/txn/pkg/dbtest"
)

// openAccount opens an account over the API and funds it.
func openAccount(t *testing.T, c *client, url, name string, balance int64) string {
	t.Helper()
	api := c.at(t, url)
	account, err := api.Accounts.Create(t.Context(), txn.NewAccount{Name: name, Currency: "USD"}, txn.WithIdempotencyKey("open-"+name))
	require.NoError(t, err)
	_, err = api.Transactions.Create(t.Context(), txn.NewTransaction{
		Type: txn.TransactionTypeCredit, Amount: balance, DestinationAccountID: account.ID,
	}, txn.WithIdempotencyKey("fund-"+name))
	require.NoError(t, err)
	return account.ID
}

func balanceOf(t *testing.T, c *client, url, id string) (balance, version int64) {
	t.Helper()
	account, err := c.at(t, url).Accounts.Get(t.Context(), id)
	require.NoError(t, err)
	return account.Balance, account.Version
}

func newClient(t *testing.T, key string) *client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	judged := apitest.Contract(t).Transport(t, transport)
	return &client{key: key, http: &http.Client{Transport: judged, Timeout: 30 * time.Second}}
}

// TestKilledInTheMiddleOfLoad kills one of two processes again and again while
// 64 clients move money between the same two accounts in both directions. Every
// request that got no answer is repeated with its key. In the end every movement
// happened exactly once.
func TestKilledInTheMiddleOfLoad(t *testing.T) {
	t.Parallel()
	const clients, each, kills = 64, 12, 4
	database := dbtest.New(t)
	c := newClient(t, issueKey(t, database.URL))
	steady := spawn(t, database.URL)
	var doomed atomic.Pointer[process]
	doomed.Store(spawn(t, database.URL))
	a := openAccount(t, c, steady.url, "a", 1_000_000)
	b := openAccount(t, c, steady.url, "b", 1_000_000)

	var group errgroup.Group
	var answered, unanswered atomic.Int64
	for i := range clients {
		group.Go(func() error {
			from, to := a, b
			if i%2 == 1 {
				from, to = b, a
			}
			for n := range each {
				body := fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":%d}`, from, to, 1+i%2)
				for try := 0; ; try++ {
					url := doomed.Load().url
					if (i+n+try)%3 == 0 {
						url = steady.url
					}
					status, _, answer, err := c.call("POST", url+"/v1/transactions", fmt.Sprintf("move-%d-%d", i, n), body)
					if err == nil && status == http.StatusCreated {
						answered.Add(1)
						break
					}
					if err == nil && status != http.StatusServiceUnavailable {
						return fmt.Errorf("status %d: %s", status, answer)
					}
					unanswered.Add(1)
				}
			}
			return nil
		})
	}
	for kill := range kills {
		goal := int64(clients * each * (kill + 1) / (kills + 2))
		require.Eventually(t, func() bool { return answered.Load() >= goal }, time.Minute, time.Millisecond)
		doomed.Load().kill()
		doomed.Store(spawn(t, database.URL))
	}
	require.NoError(t, group.Wait())
	require.Positive(t, unanswered.Load(), "no request was interrupted")

	const half = clients / 2 * each
	balanceA, versionA := balanceOf(t, c, steady.url, a)
	balanceB, versionB := balanceOf(t, c, steady.url, b)
	require.Equal(t, int64(1_000_000-half*1+half*2), balanceA)
	require.Equal(t, int64(1_000_000+half*1-half*2), balanceB)
	require.Equal(t, int64(clients*each+1), versionA)
	require.Equal(t, int64(clients*each+1), versionB)
	var movements, events int
	require.NoError(t, database.Pool.QueryRow(t.Context(),
		`SELECT count(*), (SELECT count(*) FROM webhook_events WHERE type = 'transaction.created') FROM transactions`).Scan(&movements, &events))
	require.Equal(t, clients*each+2, movements)
	require.Equal(t, movements, events)
}

// TestCallersRideOutACrash: of what a killed process was asked and never answered, a
// tenant's program that uses the Go client notices nothing but that it took longer, and
// nothing is moved twice.
func TestCallersRideOutACrash(t *testing.T) {
	t.Parallel()
	const callers, each = 16, 20
	base := dbtest.New(t)
	r := newReplica(t, base.URL)
	url := "http://" + r.address
	c := newClient(t, issueKey(t, base.URL))
	a, b := openAccount(t, c, url, "a", 1_000_000), openAccount(t, c, url, "b", 1)
	api := c.at(t, url, txn.WithRetries(60))

	group, failed := errgroup.WithContext(t.Context())
	var answered, repeated atomic.Int64
	for range callers {
		group.Go(func() error {
			for range each {
				var response txn.Response
				_, err := api.Transactions.Create(t.Context(), txn.NewTransaction{
					Type: txn.TransactionTypeTransfer, Amount: 1, SourceAccountID: a, DestinationAccountID: b,
				}, txn.WithResponse(&response))
				if err != nil {
					return err
				}
				answered.Add(1)
				if response.Tries > 1 {
					repeated.Add(1)
				}
			}
			return nil
		})
	}
	for crash := range 2 {
		goal := int64(callers * each * (crash + 1) / 3)
		require.Eventually(t, func() bool { return answered.Load() >= goal || failed.Err() != nil }, time.Minute, time.Millisecond)
		r.process.kill()
		require.Error(t, <-r.process.exited, "it did not end by itself")
		r.start(t)
	}
	require.NoError(t, group.Wait())
	require.Positive(t, repeated.Load(), "no call was interrupted")
	balance, version := balanceOf(t, c, url, b)
	require.EqualValues(t, 1+callers*each, balance)
	require.EqualValues(t, 1+callers*each, version)
	requireSoundBooks(t, base.URL)
}

// TestOneKeyToTwoProcesses sends one key 50 times at once to two processes.
func TestOneKeyToTwoProcesses(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	c := newClient(t, issueKey(t, database.URL))
	processes := []*process{spawn(t, database.URL), spawn(t, database.URL)}
	a := openAccount(t, c, processes[0].url, "a", 1000)
	b := openAccount(t, c, processes[0].url, "b", 1)
	body := fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":10}`, a, b)
	type answer struct {
		status   int
		replayed string
		body     string
	}
	answers := make([]answer, 50)
	var group errgroup.Group
	for i := range answers {
		group.Go(func() error {
			status, header, text, err := c.call("POST", processes[i%2].url+"/v1/transactions", "the-key", body)
			answers[i] = answer{status, header.Get("Idempotent-Replayed"), string(text)}
			return err
		})
	}
	require.NoError(t, group.Wait())
	first := 0
	for _, got := range answers {
		require.Equal(t, http.StatusCreated, got.status, got.body)
		require.Equal(t, answers[0].body, got.body)
		if got.replayed == "" {
			first++
		}
	}
	require.Equal(t, 1, first)
	balance, _ := balanceOf(t, c, processes[1].url, b)
	require.Equal(t, int64(11), balance)
}
