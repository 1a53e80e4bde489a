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

func TestHoldSetsMoneyAside(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	id := k.mustHold(t, hold(a, b, 60))
	require.Equal(t, int64(100), k.get(t, a).Balance)
	require.Equal(t, int64(60), k.get(t, a).Held)
	_, err := k.ledger.Post(t.Context(), k.business, debit(a, 41))
	require.True(t, errs.Is(err, errs.InsufficientFunds), "held money is not available: %v", err)
	_, err = k.ledger.CreateHold(t.Context(), k.business, hold(a, b, 41))
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)

	part := int64(25)
	result, err := k.capture(t, id, &part, false)
	require.NoError(t, err)
	captured := decode(t, result.Body)
	require.Equal(t, models.Transfer, captured.Type)
	require.Equal(t, &id, captured.HoldID)
	require.Equal(t, int64(25), k.get(t, b).Balance)
	require.Equal(t, int64(35), k.get(t, a).Held)
	require.Equal(t, models.HoldPending, k.holdOf(t, id).Status)

	over := int64(36)
	_, err = k.capture(t, id, &over, false)
	require.True(t, errs.Is(err, errs.ValidationFailed), "%v", err)
	part = 5
	_, err = k.capture(t, id, &part, true)
	require.NoError(t, err)
	require.Equal(t, int64(70), k.get(t, a).Balance)
	require.Zero(t, k.get(t, a).Held, "final gives the rest back")
	require.Equal(t, int64(30), k.holdOf(t, id).CapturedAmount)
	_, err = k.capture(t, id, nil, false)
	require.True(t, errs.Is(err, errs.InvalidState), "%v", err)
	_, err = k.void(t, id)
	require.True(t, errs.Is(err, errs.InvalidState), "%v", err)
	require.Equal(t, 2, k.events(t, models.EventHoldCaptured))
	k.requireSound(t)
}

func TestHoldOutOfTheLedgerAndVoid(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 100)
	out := k.mustHold(t, hold(a, models.AccountID{}, 40))
	result, err := k.capture(t, out, nil, false)
	require.NoError(t, err)
	require.Equal(t, models.Debit, decode(t, result.Body).Type)
	require.Equal(t, models.HoldCaptured, k.holdOf(t, out).Status)

	gone := k.mustHold(t, hold(a, models.AccountID{}, 60))
	void := ledger.Void{Hold: gone, IdempotencyKey: key()}
	first, err := k.ledger.Void(t.Context(), k.business, void)
	require.NoError(t, err)
	again, err := k.ledger.Void(t.Context(), k.business, void)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, string(first.Body), string(again.Body))
	require.Equal(t, int64(60), k.get(t, a).Balance)
	require.Zero(t, k.get(t, a).Held)
	require.Equal(t, 1, k.events(t, models.EventHoldVoided))
	k.requireSound(t)
}

func TestHoldIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	euros := k.open(t, k.business, ledger.NewAccount{Name: "EUR", Currency: "EUR", OverdraftLimit: new(int64)}).ID
	foreign := k.accountOf(t, k.newBusiness(t), 100)
	past := time.Now().Add(-time.Minute)
	for name, c := range map[string]struct {
		in   ledger.NewHold
		code errs.Code
	}{
		"zero":                {hold(a, b, 0), errs.ValidationFailed},
		"same account":        {hold(a, a, 1), errs.ValidationFailed},
		"no account":          {hold(models.AccountID{}, b, 1), errs.ValidationFailed},
		"unfunded":            {hold(a, b, 101), errs.InsufficientFunds},
		"foreign":             {hold(foreign, b, 1), errs.NotFound},
		"foreign destination": {hold(a, foreign, 1), errs.NotFound},
		"other currency":      {hold(a, euros, 1), errs.CurrencyMismatch},
		"past": {ledger.NewHold{Account: a, Amount: 1, ExpiresAt: &past, IdempotencyKey: key()},
			errs.ValidationFailed},
	} {
		_, err := k.ledger.CreateHold(t.Context(), k.business, c.in)
		require.Equal(t, c.code, errs.CodeOf(err), "%s: %v", name, err)
	}
	in := hold(a, b, 10)
	first, err := k.ledger.CreateHold(t.Context(), k.business, in)
	require.NoError(t, err)
	id := k.holdWithKey(t, in.IdempotencyKey)
	_, err = k.void(t, id)
	require.NoError(t, err)
	again, err := k.ledger.CreateHold(t.Context(), k.business, in)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, string(first.Body), string(again.Body), "as it was answered first, though it is void by now")
	in.Amount = 11
	_, err = k.ledger.CreateHold(t.Context(), k.business, in)
	require.True(t, errs.Is(err, errs.IdempotencyKeyReused), "%v", err)
	_, err = k.capture(t, models.NewID[models.HoldPrefix](), nil, false)
	require.True(t, errs.Is(err, errs.NotFound), "%v", err)
	k.requireSound(t)
}

func (k *kit) holdWithKey(t *testing.T, idempotencyKey string) (id models.HoldID) {
	t.Helper()
	require.NoError(t, k.db.Pool.QueryRow(t.Context(),
		"SELECT id FROM holds WHERE business_id = $1 AND idempotency_key = $2", k.business, idempotencyKey).Scan(&id))
	return id
}

func TestHoldExpiresOnTouchAndBySweep(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	expiring := func(amount int64) models.HoldID {
		at := time.Now().Add(150 * time.Millisecond)
		in := hold(a, b, amount)
		in.ExpiresAt = &at
		return k.mustHold(t, in)
	}
	overdue := func(id models.HoldID) {
		require.Eventually(t, func() bool { return time.Now().After(k.holdOf(t, id).ExpiresAt.Add(10 * time.Millisecond)) },
			5*time.Second, 5*time.Millisecond)
	}
	first := expiring(80)
	overdue(first)
	_, err := k.capture(t, first, nil, false)
	require.True(t, errs.Is(err, errs.InvalidState), "even before any sweep: %v", err)
	require.Equal(t, models.HoldExpired, k.holdOf(t, first).Status, "the refused capture touched the account")
	require.Equal(t, 1, k.events(t, models.EventHoldExpired))

	second := expiring(80)
	overdue(second)
	_, err = k.ledger.Post(t.Context(), k.business, debit(a, 50))
	require.NoError(t, err, "overdue holds expire under the lock of whatever touches the account")
	require.Equal(t, models.HoldExpired, k.holdOf(t, second).Status)

	third := expiring(20)
	fourth := expiring(10)
	overdue(fourth)
	touched, err := k.ledger.ExpireHolds(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, 1, touched)
	require.Equal(t, models.HoldExpired, k.holdOf(t, third).Status)
	require.Zero(t, k.get(t, a).Held)
	require.Equal(t, 4, k.events(t, models.EventHoldExpired))
	k.requireSound(t)
}

func TestRacingCapturesVoidsAndExpiries(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, ledger.Options{})}
	a, b := k.account(t, 10_000), k.account(t, 0)
	for range 10 {
		at := time.Now().Add(time.Hour)
		in := hold(a, b, 100)
		in.ExpiresAt = &at
		id := k.mustHold(t, in)
		_, err := k.db.Pool.Exec(t.Context(), `UPDATE holds SET expires_at = clock_timestamp() + interval '5 ms' WHERE id = $1`, id)
		require.NoError(t, err)
		var captured, ended atomic.Int64
		var group errgroup.Group
		for i := range 24 {
			l := replicas[i%2]
			group.Go(func() error {
				var err error
				switch i % 4 {
				case 0:
					_, err = l.Void(t.Context(), k.business, ledger.Void{Hold: id, IdempotencyKey: key()})
					if err == nil {
						ended.Add(1)
					}
				case 1:
					err = l.Touch(t.Context(), k.business, a)
				default:
					part := int64(30)
					_, err = l.Capture(t.Context(), k.business, ledger.Capture{Hold: id, Amount: &part, IdempotencyKey: key()})
					if err == nil {
						captured.Add(part)
					}
				}
				if errs.Is(err, errs.InvalidState) || errs.Is(err, errs.ValidationFailed) {
					return nil
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.LessOrEqual(t, ended.Load(), int64(1))
		require.Equal(t, captured.Load(), k.holdOf(t, id).CapturedAmount)
		require.LessOrEqual(t, captured.Load(), int64(100))
	}
	k.requireSound(t)
}
