package ledger_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

func (k *kit) post(t *testing.T, post ledger.Post) wire.Transaction {
	t.Helper()
	result, err := k.ledger.Post(t.Context(), k.business, post)
	require.NoError(t, err)
	return decode(t, result.Body)
}

func (k *kit) reverse(t *testing.T, id models.TransactionID, amount *int64) (wire.Transaction, error) {
	t.Helper()
	result, err := k.ledger.Reverse(t.Context(), k.business, ledger.Reverse{Transaction: id, Amount: amount, IdempotencyKey: key()})
	if err != nil {
		return wire.Transaction{}, err
	}
	return decode(t, result.Body), nil
}

func TestReversalsOfEveryKind(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 1000), k.account(t, 0)
	for name, c := range map[string]struct {
		post ledger.Post
		kind models.TransactionType
	}{
		"credit":   {credit(a, 50), models.Debit},
		"debit":    {debit(a, 50), models.Credit},
		"transfer": {transfer(a, b, 50), models.Transfer},
	} {
		before := k.get(t, a).Balance
		original := k.post(t, c.post)
		reversal, err := k.reverse(t, original.ID, nil)
		require.NoError(t, err, name)
		require.Equal(t, c.kind, reversal.Type, name)
		require.Equal(t, &original.ID, reversal.ReversesTransactionID)
		require.Equal(t, original.SourceAccountID, reversal.DestinationAccountID)
		require.Equal(t, original.DestinationAccountID, reversal.SourceAccountID)
		require.Equal(t, before, k.get(t, a).Balance, name)
		shown, err := k.ledger.Transaction(t.Context(), k.business, original.ID)
		require.NoError(t, err)
		require.Equal(t, int64(50), shown.ReversedAmount)
		_, err = k.reverse(t, reversal.ID, nil)
		require.True(t, errs.Is(err, errs.InvalidState), "a reversal cannot be reversed: %v", err)
		_, err = k.reverse(t, original.ID, nil)
		require.True(t, errs.Is(err, errs.InvalidState), "nothing is left: %v", err)
	}
	id := k.mustHold(t, hold(a, b, 30))
	captured, err := k.capture(t, id, nil, false)
	require.NoError(t, err)
	_, err = k.reverse(t, decode(t, captured.Body).ID, nil)
	require.NoError(t, err, "a capture")
	require.Equal(t, 4, k.events(t, models.EventTransactionReversed))
	k.requireSound(t)
}

func TestReversalsNeverExceedTheOriginal(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, ledger.Options{})}
	a, b := k.account(t, 1000), k.account(t, 0)
	original := k.post(t, transfer(a, b, 100))
	k.post(t, credit(b, 1000))
	var reversed atomic.Int64
	var group errgroup.Group
	for i := range 30 {
		group.Go(func() error {
			part := int64(7)
			_, err := replicas[i%2].Reverse(t.Context(), k.business, ledger.Reverse{Transaction: original.ID, Amount: &part, IdempotencyKey: key()})
			if err == nil {
				reversed.Add(part)
				return nil
			}
			if errs.Is(err, errs.ValidationFailed) {
				return nil
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, int64(98), reversed.Load())
	rest, err := k.reverse(t, original.ID, nil)
	require.NoError(t, err)
	require.Equal(t, int64(2), rest.Amount, "all that is left")
	k.requireSound(t)
}

func TestReversalNeedsFunds(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	original := k.post(t, transfer(a, b, 100))
	k.post(t, debit(b, 1))
	_, err := k.reverse(t, original.ID, nil)
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)
	require.Zero(t, k.count(t, "reversals"))
	_, err = k.ledger.Reverse(t.Context(), k.newBusiness(t), ledger.Reverse{Transaction: original.ID, IdempotencyKey: key()})
	require.True(t, errs.Is(err, errs.NotFound), "%v", err)

	in := ledger.Reverse{Transaction: original.ID, IdempotencyKey: key(), Amount: new(int64)}
	*in.Amount = 40
	first, err := k.ledger.Reverse(t.Context(), k.business, in)
	require.NoError(t, err)
	again, err := k.ledger.Reverse(t.Context(), k.business, in)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, string(first.Body), string(again.Body))
	k.requireSound(t)
}
