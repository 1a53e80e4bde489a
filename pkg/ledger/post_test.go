package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

func TestPostMovesMoney(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 1000), k.account(t, 0)
	post := transfer(a, b, 250)
	post.Metadata = models.Metadata{"order": "17"}
	description, effective := "rent", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	post.Description, post.EffectiveAt = &description, &effective

	result, err := k.ledger.Post(t.Context(), k.business, post)
	require.NoError(t, err)
	require.False(t, result.Replayed)
	got := decode(t, result.Body)
	require.Equal(t, models.Transfer, got.Type)
	require.Equal(t, "USD", got.Currency)
	require.Equal(t, post.IdempotencyKey, got.IdempotencyKey)
	require.Equal(t, map[string]string{"order": "17"}, got.Metadata)
	require.Len(t, got.Entries, 2)
	require.Equal(t, int64(-250), got.Entries[0].Amount)
	require.Equal(t, int64(750), got.Entries[0].BalanceAfter)
	require.Equal(t, int64(2), got.Entries[0].Sequence)
	require.Equal(t, int64(250), got.Entries[1].BalanceAfter)
	require.Equal(t, int64(750), k.get(t, a).Balance)
	require.Equal(t, int64(2), k.get(t, a).Version)
	require.Equal(t, int64(250), k.get(t, b).Balance)

	_, err = k.ledger.Post(t.Context(), k.business, debit(b, 250))
	require.NoError(t, err)
	require.Equal(t, int64(0), k.get(t, b).Balance)
	k.requireSound(t)
}

func TestPostIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b, frozen := k.account(t, 100), k.account(t, 0), k.account(t, 100)
	euros := k.open(t, k.business, ledger.NewAccount{Name: "EUR", Currency: "EUR", OverdraftLimit: new(int64)}).ID
	full := k.account(t, models.MaxAmount)
	status := models.AccountFrozen
	_, err := k.ledger.UpdateAccount(t.Context(), k.business, frozen, ledger.AccountChange{Status: &status})
	require.NoError(t, err)
	reference := "taken"
	first := transfer(a, b, 1)
	first.Reference = &reference
	_, err = k.ledger.Post(t.Context(), k.business, first)
	require.NoError(t, err)
	foreign := k.accountOf(t, k.newBusiness(t), 100)
	version, floor := int64(99), int64(99)

	transactions, events := k.count(t, "transactions"), k.count(t, "webhook_events")
	cases := map[string]struct {
		post func() ledger.Post
		code errs.Code
	}{
		"zero":               {func() ledger.Post { return transfer(a, b, 0) }, errs.ValidationFailed},
		"negative":           {func() ledger.Post { return transfer(a, b, -1) }, errs.ValidationFailed},
		"2^53":               {func() ledger.Post { return transfer(a, b, models.MaxAmount+1) }, errs.ValidationFailed},
		"same account":       {func() ledger.Post { return transfer(a, a, 1) }, errs.ValidationFailed},
		"no source":          {func() ledger.Post { return transfer(models.AccountID{}, b, 1) }, errs.ValidationFailed},
		"credit with source": {func() ledger.Post { p := credit(b, 1); p.Source = a; return p }, errs.ValidationFailed},
		"unknown type":       {func() ledger.Post { p := credit(b, 1); p.Type = "gift"; return p }, errs.ValidationFailed},
		"unfunded":           {func() ledger.Post { return transfer(a, b, 100) }, errs.InsufficientFunds},
		"unknown account":    {func() ledger.Post { return transfer(a, models.NewID[models.AccountPrefix](), 1) }, errs.NotFound},
		"foreign account":    {func() ledger.Post { return transfer(a, foreign, 1) }, errs.NotFound},
		"frozen source":      {func() ledger.Post { return transfer(frozen, b, 1) }, errs.AccountNotActive},
		"frozen destination": {func() ledger.Post { return transfer(a, frozen, 1) }, errs.AccountNotActive},
		"two currencies":     {func() ledger.Post { return transfer(a, euros, 1) }, errs.CurrencyMismatch},
		"other currency":     {func() ledger.Post { p := transfer(a, b, 1); p.Currency = "EUR"; return p }, errs.CurrencyMismatch},
		"full":               {func() ledger.Post { return credit(full, 1) }, errs.LimitExceeded},
		"reference":          {func() ledger.Post { p := transfer(a, b, 1); p.Reference = &reference; return p }, errs.AlreadyExists},
		"version": {func() ledger.Post {
			p := transfer(a, b, 1)
			p.Conditions.SourceVersion = &version
			return p
		}, errs.ConditionFailed},
		"floor": {func() ledger.Post {
			p := transfer(a, b, 1)
			p.Conditions.SourceMinBalanceAfter = &floor
			return p
		}, errs.ConditionFailed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := k.ledger.Post(t.Context(), k.business, c.post())
			require.Equal(t, c.code, errs.CodeOf(err), "%v", err)
		})
	}
	require.Equal(t, transactions, k.count(t, "transactions"))
	require.Equal(t, events, k.count(t, "webhook_events"))
	k.requireSound(t)
}

func TestOverdraftPolicyDecides(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	limit := int64(50)
	bounded := k.open(t, k.business, ledger.NewAccount{Name: "Bounded", Currency: "USD", OverdraftLimit: &limit}).ID
	unbounded := k.open(t, k.business, ledger.NewAccount{Name: "Unbounded", Currency: "USD"}).ID
	for _, amount := range []int64{51, models.MaxAmount} {
		_, err := k.ledger.Post(t.Context(), k.business, debit(bounded, amount))
		require.True(t, errs.Is(err, errs.InsufficientFunds), "%d: %v", amount, err)
	}
	_, err := k.ledger.Post(t.Context(), k.business, debit(bounded, 50))
	require.NoError(t, err)
	_, err = k.ledger.Post(t.Context(), k.business, debit(unbounded, models.MaxAmount))
	require.NoError(t, err)
	_, err = k.ledger.Post(t.Context(), k.business, debit(unbounded, 1))
	require.True(t, errs.Is(err, errs.LimitExceeded), "%v", err)

	lower := int64(49)
	change := &lower
	_, err = k.ledger.UpdateAccount(t.Context(), k.business, bounded, ledger.AccountChange{OverdraftLimit: &change})
	require.True(t, errs.Is(err, errs.ValidationFailed), "%v", err)
	k.requireSound(t)
}

func TestKeyIsReplayedAndProtected(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 1000), k.account(t, 0)
	post := transfer(a, b, 250)
	first, err := k.ledger.Post(t.Context(), k.business, post)
	require.NoError(t, err)
	again, err := k.ledger.Post(t.Context(), k.business, post)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, string(first.Body), string(again.Body))

	other := post
	other.Amount = 251
	_, err = k.ledger.Post(t.Context(), k.business, other)
	require.True(t, errs.Is(err, errs.IdempotencyKeyReused), "%v", err)
	require.Equal(t, int64(750), k.get(t, a).Balance)

	// Another business may use the same key.
	stranger := k.newBusiness(t)
	foreign := credit(k.accountOf(t, stranger, 0), 5)
	foreign.IdempotencyKey = post.IdempotencyKey
	result, err := k.ledger.Post(t.Context(), stranger, foreign)
	require.NoError(t, err)
	require.False(t, result.Replayed)
	k.requireSound(t)
}

func TestRefusalDoesNotBurnTheKey(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 0), k.account(t, 0)
	post := transfer(a, b, 10)
	_, err := k.ledger.Post(t.Context(), k.business, post)
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)
	_, err = k.ledger.Post(t.Context(), k.business, credit(a, 10))
	require.NoError(t, err)
	result, err := k.ledger.Post(t.Context(), k.business, post)
	require.NoError(t, err)
	require.False(t, result.Replayed)
}

func TestDryRunCommitsNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	post := transfer(a, b, 60)
	post.DryRun = true
	// Many at once share batches with each other and with real movements; only one
	// of them would be funded if a dry run moved money.
	var group errgroup.Group
	for range 64 {
		group.Go(func() error {
			result, err := k.ledger.Post(t.Context(), k.business, post)
			if err == nil && result.Replayed {
				return errors.New("a dry run was replayed")
			}
			return err
		})
		group.Go(func() error {
			_, err := k.ledger.Post(t.Context(), k.business, credit(b, 1))
			return err
		})
	}
	require.NoError(t, group.Wait())
	result, err := k.ledger.Post(t.Context(), k.business, post)
	require.NoError(t, err)
	require.Equal(t, int64(40), decode(t, result.Body).Entries[0].BalanceAfter)
	post.Amount = 101
	_, err = k.ledger.Post(t.Context(), k.business, post)
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)
	require.Equal(t, int64(100), k.get(t, a).Balance)
	require.Equal(t, 65, k.count(t, "transactions"))
	k.requireSound(t)
}
