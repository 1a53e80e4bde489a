package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

func TestTransactionsAreListedByEveryFilter(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b, c := k.account(t, 1000), k.account(t, 0), k.account(t, 0)
	var posted []wire.Transaction
	for i := range 6 {
		post := transfer(a, b, int64(i+1))
		if i%2 == 1 {
			post.Destination = c
			post.Metadata = models.Metadata{"parity": "odd", "n": string(rune('0' + i))}
		}
		reference := "ref-" + post.IdempotencyKey
		post.Reference = &reference
		result, err := k.ledger.Post(t.Context(), k.business, post)
		require.NoError(t, err)
		posted = append(posted, decode(t, result.Body))
	}
	amounts := func(filter ledger.TransactionFilter, after models.TransactionID, limit int) (list []int64) {
		t.Helper()
		got, err := k.ledger.Transactions(t.Context(), k.business, filter, after, limit)
		require.NoError(t, err)
		for _, transaction := range got {
			require.NotEmpty(t, transaction.Entries)
			list = append(list, transaction.Amount)
		}
		return list
	}
	require.Equal(t, []int64{6, 5, 4, 3, 2, 1, 1000}, amounts(ledger.TransactionFilter{}, models.TransactionID{}, 10))
	require.Equal(t, []int64{4, 3}, amounts(ledger.TransactionFilter{}, posted[4].ID, 2))
	require.Equal(t, []int64{6, 4, 2}, amounts(ledger.TransactionFilter{Account: c}, models.TransactionID{}, 10))
	require.Equal(t, []int64{4, 2}, amounts(ledger.TransactionFilter{Account: c}, posted[5].ID, 10))
	require.Equal(t, []int64{1000}, amounts(ledger.TransactionFilter{Type: models.Credit}, models.TransactionID{}, 10))
	require.Equal(t, []int64{3}, amounts(ledger.TransactionFilter{Reference: *posted[2].Reference}, models.TransactionID{}, 10))
	require.Equal(t, []int64{3}, amounts(ledger.TransactionFilter{IdempotencyKey: posted[2].IdempotencyKey}, models.TransactionID{}, 10))
	require.Equal(t, []int64{6, 4, 2}, amounts(ledger.TransactionFilter{Metadata: models.Metadata{"parity": "odd"}}, models.TransactionID{}, 10))
	require.Equal(t, []int64{4}, amounts(ledger.TransactionFilter{Metadata: models.Metadata{"parity": "odd", "n": "3"}}, models.TransactionID{}, 10))
	require.Empty(t, amounts(ledger.TransactionFilter{Metadata: models.Metadata{"parity": "even"}}, models.TransactionID{}, 10))
	second, fourth := time.Time(posted[1].CreatedAt), time.Time(posted[3].CreatedAt)
	between := ledger.TransactionFilter{CreatedAfter: &second, CreatedBefore: &fourth}
	require.Equal(t, []int64{3}, amounts(between, models.TransactionID{}, 10), "both bounds are exclusive")
	between.Account = a
	require.Equal(t, []int64{3}, amounts(between, models.TransactionID{}, 10))

	single, err := k.ledger.Transaction(t.Context(), k.business, posted[3].ID)
	require.NoError(t, err)
	want, err := wire.Marshal(posted[3])
	require.NoError(t, err)
	got, err := wire.Marshal(single)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}

func TestReadsStayWithinTheBusiness(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 1000)
	list, err := k.ledger.Transactions(t.Context(), k.business, ledger.TransactionFilter{}, models.TransactionID{}, 1)
	require.NoError(t, err)
	stranger := k.newBusiness(t)
	_, err = k.ledger.Account(t.Context(), stranger, a)
	require.True(t, errs.Is(err, errs.NotFound))
	_, err = k.ledger.Transaction(t.Context(), stranger, list[0].ID)
	require.True(t, errs.Is(err, errs.NotFound))
	_, err = k.ledger.Entries(t.Context(), stranger, a, 0, 10)
	require.True(t, errs.Is(err, errs.NotFound))
	_, err = k.ledger.BalanceAt(t.Context(), stranger, a, time.Now())
	require.True(t, errs.Is(err, errs.NotFound))
	foreign, err := k.ledger.Transactions(t.Context(), stranger, ledger.TransactionFilter{Account: a}, list[0].ID, 10)
	require.NoError(t, err)
	require.Empty(t, foreign)
}

func TestHistoryIsExactToTheEntry(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 0)
	moments := []time.Time{time.Now().Add(-time.Hour)}
	balances := []int64{0}
	for i := range 20 {
		result, err := k.ledger.Post(t.Context(), k.business, credit(a, int64(i+1)))
		require.NoError(t, err)
		got := decode(t, result.Body)
		moments = append(moments, time.Time(got.CreatedAt))
		balances = append(balances, got.Entries[0].BalanceAfter)
	}
	for i, moment := range moments {
		balance, err := k.ledger.BalanceAt(t.Context(), k.business, a, moment)
		require.NoError(t, err)
		require.Equal(t, balances[i], balance, i)
		if i > 0 {
			balance, err = k.ledger.BalanceAt(t.Context(), k.business, a, moment.Add(-time.Microsecond))
			require.NoError(t, err)
			require.Equal(t, balances[i-1], balance, i)
		}
	}
	var sequences []int64
	below := int64(0)
	for {
		page, err := k.ledger.Entries(t.Context(), k.business, a, below, 7)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			sequences = append(sequences, e.Sequence)
			require.Equal(t, balances[e.Sequence], e.BalanceAfter)
		}
		below = page[len(page)-1].Sequence
	}
	require.Len(t, sequences, 20)
	require.IsDecreasing(t, sequences)
}

func TestHistoryCannotBeRewritten(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	k.account(t, 100)
	for _, table := range []string{"entries", "transactions", "transaction_metadata", "audit_log"} {
		for _, sql := range []string{"UPDATE " + table + " SET created_at = now()", "DELETE FROM " + table, "TRUNCATE " + table + " CASCADE"} {
			if table == "transaction_metadata" {
				sql = "DELETE FROM " + table
			}
			_, err := k.db.Pool.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "append-only", sql)
		}
	}
	k.requireSound(t)
}

func TestTimesFilterToTheMicrosecond(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 0)
	var made []time.Time
	for i := range 4 {
		result, err := k.ledger.Post(t.Context(), k.business, credit(a, int64(i+1)))
		require.NoError(t, err)
		made = append(made, time.Time(decode(t, result.Body).CreatedAt))
	}
	inside := func(moment time.Time) *time.Time {
		moment = moment.Add(500 * time.Nanosecond)
		return &moment
	}
	year := func(year int) *time.Time {
		moment := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		return &moment
	}
	for name, c := range map[string]struct {
		after, before *time.Time
		want          []int64
	}{
		"before is exclusive":      {nil, &made[2], []int64{2, 1}},
		"after is exclusive":       {&made[1], nil, []int64{4, 3}},
		"within a microsecond":     {inside(made[0]), inside(made[2]), []int64{3, 2}},
		"since before ids began":   {year(1960), nil, []int64{4, 3, 2, 1}},
		"until before ids began":   {nil, year(1960), nil},
		"until the first year":     {nil, year(1), nil},
		"since the first year":     {year(1), nil, []int64{4, 3, 2, 1}},
		"until the last year":      {nil, year(9999), []int64{4, 3, 2, 1}},
		"since the last year":      {year(9999), nil, nil},
		"the wrong way around":     {&made[2], &made[1], nil},
		"exactly one between two":  {&made[0], &made[2], []int64{2}},
		"nothing between the same": {&made[1], &made[1], nil},
	} {
		for _, account := range []models.AccountID{{}, a} {
			filter := ledger.TransactionFilter{Account: account, CreatedAfter: c.after, CreatedBefore: c.before}
			list, err := k.ledger.Transactions(t.Context(), k.business, filter, models.TransactionID{}, 10)
			require.NoError(t, err)
			var amounts []int64
			for _, transaction := range list {
				amounts = append(amounts, transaction.Amount)
			}
			require.Equal(t, c.want, amounts, "%s, account %t", name, !account.IsZero())
		}
	}
}
