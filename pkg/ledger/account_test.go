package ledger_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// become changes an account's status.
func (k *kit) become(t *testing.T, id models.AccountID, status models.AccountStatus) error {
	t.Helper()
	_, err := k.ledger.UpdateAccount(t.Context(), k.business, id, ledger.AccountChange{Status: &status})
	return err
}

func TestAccountIsFrozenAndClosed(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 100)
	id := k.mustHold(t, hold(a, b, 10))
	require.NoError(t, k.become(t, a, models.AccountFrozen))
	for name, post := range map[string]ledger.Post{"source": transfer(a, b, 1), "destination": transfer(b, a, 1)} {
		_, err := k.ledger.Post(t.Context(), k.business, post)
		require.True(t, errs.Is(err, errs.AccountNotActive), "%s: %v", name, err)
	}
	_, err := k.capture(t, id, nil, false)
	require.True(t, errs.Is(err, errs.AccountNotActive), "%v", err)
	require.NoError(t, k.become(t, a, models.AccountActive))
	_, err = k.ledger.Post(t.Context(), k.business, transfer(a, b, 1))
	require.NoError(t, err)

	require.True(t, errs.Is(k.become(t, a, models.AccountClosed), errs.InvalidState), "it has money and a hold")
	_, err = k.ledger.Post(t.Context(), k.business, debit(a, 89))
	require.NoError(t, err)
	require.True(t, errs.Is(k.become(t, a, models.AccountClosed), errs.InvalidState), "what is left is held")
	_, err = k.capture(t, id, nil, false)
	require.NoError(t, err)
	require.NoError(t, k.become(t, a, models.AccountClosed))
	require.True(t, errs.Is(k.become(t, a, models.AccountActive), errs.InvalidState), "closed is for ever")
	_, err = k.ledger.Post(t.Context(), k.business, credit(a, 1))
	require.True(t, errs.Is(err, errs.AccountNotActive), "%v", err)
	entries, err := k.ledger.Entries(t.Context(), k.business, a, 0, 10)
	require.NoError(t, err)
	require.Len(t, entries, 4, "a closed account stays readable")

	// Overdue holds do not keep an account open, whether or not a sweep came by.
	limit := int64(5)
	c := k.open(t, k.business, ledger.NewAccount{Name: "C", Currency: "USD", OverdraftLimit: &limit}).ID
	k.mustHold(t, hold(c, b, 5))
	require.True(t, errs.Is(k.become(t, c, models.AccountClosed), errs.InvalidState))
	_, err = k.db.Pool.Exec(t.Context(), `UPDATE holds SET expires_at = now() WHERE account_id = $1`, c)
	require.NoError(t, err)
	require.NoError(t, k.become(t, c, models.AccountClosed))
	k.requireSound(t)
}

func TestClosingRacesWithMoney(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replica := startLedger(t, k.db, ledger.Options{})
	for range 10 {
		a := k.account(t, 0)
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				_, err := replica.Post(t.Context(), k.business, credit(a, 1))
				if errs.Is(err, errs.AccountNotActive) {
					return nil
				}
				return err
			})
			group.Go(func() error {
				if err := k.become(t, a, models.AccountClosed); !errs.Is(err, errs.InvalidState) {
					return err
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		account := k.get(t, a)
		require.True(t, account.Status != models.AccountClosed || account.Balance == 0, "%+v", account)
	}
	k.requireSound(t)
}

func TestOverdraftLimitIsNotLoweredBelowItsUse(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.open(t, k.business, ledger.NewAccount{Name: "A", Currency: "USD"}).ID
	_, err := k.ledger.Post(t.Context(), k.business, debit(a, 60))
	require.NoError(t, err)
	k.mustHold(t, hold(a, models.AccountID{}, 40))
	limited := func(limit *int64) error {
		_, err := k.ledger.UpdateAccount(t.Context(), k.business, a, ledger.AccountChange{OverdraftLimit: &limit})
		return err
	}
	below, exact := int64(99), int64(100)
	require.True(t, errs.Is(limited(&below), errs.ValidationFailed), "held money is in use too")
	require.NoError(t, limited(&exact))
	_, err = k.ledger.Post(t.Context(), k.business, debit(a, 1))
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)
	require.NoError(t, limited(nil))
	_, err = k.ledger.Post(t.Context(), k.business, debit(a, 1))
	require.NoError(t, err)
	k.requireSound(t)
}

// TestPagesAreStableUnderInserts reads lists page by page while more is written:
// nothing comes twice and nothing that was there is left out.
func TestPagesAreStableUnderInserts(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 0)
	items := make([]ledger.Post, 300)
	for i := range items {
		items[i] = credit(a, 1)
	}
	_, err := k.ledger.PostBatch(t.Context(), k.business, batchOf(true, items...))
	require.NoError(t, err)
	var commits int
	require.NoError(t, k.db.Pool.QueryRow(t.Context(), `SELECT count(DISTINCT xmin::text) FROM transactions WHERE business_id = $1`, k.business).Scan(&commits))
	require.Equal(t, 1, commits, "a batch is one commit")

	var stop atomic.Bool
	var group errgroup.Group
	group.Go(func() error {
		for !stop.Load() {
			if _, err := k.ledger.Post(t.Context(), k.business, credit(a, 1)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, filter := range []ledger.TransactionFilter{{}, {Account: a}, {Type: models.Credit}} {
		var last models.TransactionID
		sequence := int64(0)
		for {
			page, err := k.ledger.Transactions(t.Context(), k.business, filter, last, 7)
			require.NoError(t, err)
			for _, transaction := range page {
				next := transaction.Entries[0].Sequence
				require.True(t, sequence == 0 || next == sequence-1, "%d follows %d", next, sequence)
				sequence = next
			}
			if len(page) < 7 {
				break
			}
			last = page[len(page)-1].ID
		}
		require.Equal(t, int64(1), sequence, "down to the first")
	}
	below := int64(0)
	for {
		page, err := k.ledger.Entries(t.Context(), k.business, a, below, 7)
		require.NoError(t, err)
		for _, entry := range page {
			require.True(t, below == 0 || entry.Sequence == below-1)
			below = entry.Sequence
		}
		if len(page) < 7 {
			break
		}
	}
	require.Equal(t, int64(1), below)
	stop.Store(true)
	require.NoError(t, group.Wait())
}

func TestBalanceAtATieIsTheLastOnes(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 0)
	items := make([]ledger.Post, 50)
	for i := range items {
		items[i] = credit(a, 1)
	}
	_, err := k.ledger.PostBatch(t.Context(), k.business, batchOf(true, items...))
	require.NoError(t, err)
	entries, err := k.ledger.Entries(t.Context(), k.business, a, 0, 1)
	require.NoError(t, err)
	// Entries of one commit share their microsecond: the highest sequence counts.
	balance, err := k.ledger.BalanceAt(t.Context(), k.business, a, entries[0].CreatedAt)
	require.NoError(t, err)
	require.Equal(t, int64(50), balance)
	balance, err = k.ledger.BalanceAt(t.Context(), k.business, a, entries[0].CreatedAt.Add(-time.Microsecond))
	require.NoError(t, err)
	require.Zero(t, balance)
}
