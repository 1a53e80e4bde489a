package client_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/client"
)

// TestListsAreReadLazily: page by page, and no further than the caller goes.
func TestListsAreReadLazily(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	maker := judged(t, api)
	names := []string{"e", "d", "c", "b", "a"}
	for i := range names {
		open(t, maker, names[len(names)-1-i], 0)
	}
	var requests atomic.Int64
	counting := between(t, api, func(forward http.Handler, w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		forward.ServeHTTP(w, r)
	})
	c := connect(t, counting, api.Key)
	everything := c.Accounts.All(t.Context(), client.ListAccountsParams{Limit: 2, Currency: "USD"})
	require.Zero(t, requests.Load(), "nothing is asked before it is ranged over")
	for range 2 { // it may be ranged over again
		requests.Store(0)
		var got []string
		for account, err := range everything {
			require.NoError(t, err)
			got = append(got, account.Name)
		}
		require.Equal(t, names, got)
		require.EqualValues(t, 3, requests.Load())
	}
	requests.Store(0)
	for account, err := range everything {
		require.NoError(t, err)
		if account.Name == "d" {
			break
		}
	}
	require.EqualValues(t, 1, requests.Load())

	page, err := c.Accounts.List(t.Context(), client.ListAccountsParams{Limit: 4})
	require.NoError(t, err)
	require.True(t, page.HasMore)
	page, err = c.Accounts.List(t.Context(), client.ListAccountsParams{Limit: 4, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Equal(t, "a", page.Data[0].Name)
	require.False(t, page.HasMore)
	require.Empty(t, page.NextCursor)
}

func TestEveryListHasAll(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	c := judged(t, api)
	ctx := t.Context()
	account := open(t, c, "Main", 100)
	_, err := c.Holds.Create(ctx, client.NewHold{AccountID: account.ID, Amount: 1})
	require.NoError(t, err)
	_, err = c.Webhooks.Create(ctx, client.NewWebhook{URL: "http://127.0.0.1:1/"})
	require.NoError(t, err)
	_, err = c.Replays.Create(ctx, client.NewReplay{})
	require.NoError(t, err)
	require.Equal(t, 1, count(t, c.Transactions.All(ctx, client.ListTransactionsParams{})))
	require.Equal(t, 1, count(t, c.Accounts.AllEntries(ctx, account.ID, client.ListEntriesParams{})))
	require.Equal(t, 1, count(t, c.Holds.All(ctx, client.ListHoldsParams{})))
	require.Equal(t, 1, count(t, c.Webhooks.All(ctx, client.ListWebhooksParams{})))
	require.Equal(t, 3, count(t, c.Events.All(ctx, client.ListEventsParams{})))
	require.Equal(t, 0, count(t, c.Deliveries.All(ctx, client.ListDeliveriesParams{})))
	require.Equal(t, 1, count(t, c.Replays.All(ctx, client.ListReplaysParams{})))
	require.Equal(t, 2, count(t, c.APIKeys.All(ctx, client.ListAPIKeysParams{})))
}

func count[T any](t *testing.T, all func(yield func(T, error) bool)) (n int) {
	t.Helper()
	for _, err := range all {
		require.NoError(t, err)
		n++
	}
	return n
}

func TestAnErrorEndsAList(t *testing.T) {
	t.Parallel()
	c := connect(t, apitest.New(t).URL, "txn_nobody")
	rounds := 0
	for _, err := range c.Holds.All(t.Context(), client.ListHoldsParams{}) {
		rounds++
		require.True(t, client.IsCode(err, client.CodeUnauthenticated), err)
	}
	require.Equal(t, 1, rounds)
}

// TestStatements: streamed, they are what the pages are.
func TestStatements(t *testing.T) {
	t.Parallel()
	c := judged(t, apitest.New(t))
	account := open(t, c, "Main", 5)
	credits := make([]client.NewTransaction, 1000)
	for i := range credits {
		credits[i] = credit(account, int64(i+1))
	}
	for range 2 { // more than one part of the export
		_, err := c.Transactions.CreateBatch(t.Context(), credits)
		require.NoError(t, err)
	}
	sequence := int64(2002)
	var streamed []client.StatementEntry
	for entry, err := range c.Accounts.Statement(t.Context(), account.ID) {
		require.NoError(t, err)
		sequence--
		require.Equal(t, sequence, entry.Sequence)
		streamed = append(streamed, entry)
	}
	require.EqualValues(t, 1, sequence)
	var paged []client.StatementEntry
	for entry, err := range c.Accounts.AllEntries(t.Context(), account.ID, client.ListEntriesParams{Limit: 200}) {
		require.NoError(t, err)
		paged = append(paged, entry)
	}
	require.Equal(t, paged, streamed)
	for _, err := range c.Accounts.Statement(t.Context(), account.ID) {
		require.NoError(t, err)
		break // and nothing stays open
	}
	var csv bytes.Buffer
	require.NoError(t, c.Accounts.WriteCSV(t.Context(), &csv, account.ID))
	require.Equal(t, 2002, strings.Count(csv.String(), "\n"))
	for _, err := range c.Accounts.Statement(t.Context(), "acct_nobody") {
		require.True(t, client.IsCode(err, client.CodeNotFound), err)
	}
}

// TestAStatementThatIsCutOff is an error, not a short statement.
func TestAStatementThatIsCutOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"sequence":2}` + "\n" + `{"sequence":1}` + "\n"))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	c := connect(t, server.URL, "txn_key")
	var lines, failures int
	for _, err := range c.Accounts.Statement(context.Background(), "acct_1") {
		if err != nil {
			failures++
		} else {
			lines++
		}
	}
	require.Equal(t, 2, lines)
	require.Equal(t, 1, failures)
	require.Error(t, c.Accounts.WriteCSV(t.Context(), &bytes.Buffer{}, "acct_1"))
}
