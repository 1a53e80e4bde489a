package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// overdueHolds gives an account n holds of 1 that were due a second ago, as they
// are when nobody has touched it for a while.
func (k *kit) overdueHolds(t *testing.T, account models.AccountID, n int) {
	t.Helper()
	_, err := k.db.Pool.Exec(t.Context(), `INSERT INTO holds (business_id, id, account_id, amount, currency, idempotency_key, fingerprint, expires_at, created_at, updated_at)
		SELECT $1, gen_random_uuid(), $2, 1, 'USD', gen_random_uuid(), '', now() - interval '1 second', now(), now() FROM generate_series(1, $3)`,
		k.business, account, n)
	require.NoError(t, err)
	_, err = k.db.Pool.Exec(t.Context(), `UPDATE business_accounts SET held = held + $3 WHERE business_id = $1 AND id = $2`, k.business, account, n)
	require.NoError(t, err)
}

func TestManyOverdueHoldsAreInNobodysWay(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 2000), k.account(t, 10)
	k.overdueHolds(t, a, 2000)
	_, err := k.ledger.Post(t.Context(), k.business, debit(a, 2000))
	require.NoError(t, err, "all of them expire under the lock, however many")
	require.Zero(t, k.get(t, a).Held)
	require.Equal(t, 2000, k.events(t, models.EventHoldExpired))

	// A whole batch's worth on one account, and the neighbour's expires all the same.
	_, err = k.db.Pool.Exec(t.Context(), `UPDATE business_accounts SET overdraft_limit = NULL WHERE id = $1`, a)
	require.NoError(t, err)
	k.overdueHolds(t, a, 6000)
	k.overdueHolds(t, b, 10)
	_, err = k.ledger.PostBatch(t.Context(), k.business, ledger.Batch{
		Atomic: true, Items: []ledger.Post{debit(a, 1), debit(b, 10)}, IdempotencyKey: key(),
		Render: func([]ledger.ItemResult) (int, []byte, error) { return 201, []byte("{}"), nil },
	})
	require.NoError(t, err)
	require.Zero(t, k.get(t, b).Held)
	_, err = k.ledger.ExpireHolds(t.Context(), 500)
	require.NoError(t, err)
	require.Zero(t, k.get(t, a).Held)
	k.requireSound(t)
}

func TestSweepPassesAccountsThatAreLocked(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{LockTimeout: 50 * time.Millisecond})
	locked, free := k.account(t, 10), k.account(t, 10)
	k.overdueHolds(t, locked, 3)
	k.overdueHolds(t, free, 3)
	_, err := k.db.Pool.Exec(t.Context(), `UPDATE holds SET expires_at = expires_at - interval '1 hour' WHERE account_id = $1`, locked)
	require.NoError(t, err)
	tx, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // ends with the test
	_, err = tx.Exec(t.Context(), `SELECT 1 FROM business_accounts WHERE id = $1 FOR UPDATE`, locked)
	require.NoError(t, err)

	touched, err := k.ledger.ExpireHolds(t.Context(), 2)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.Positive(t, touched)
	require.Zero(t, k.get(t, free).Held, "the oldest holds are on an account that cannot be locked")
	require.Equal(t, int64(3), k.get(t, locked).Held)

	require.NoError(t, tx.Rollback(t.Context()))
	_, err = k.ledger.ExpireHolds(t.Context(), 2)
	require.NoError(t, err)
	require.Zero(t, k.get(t, locked).Held)
}

func TestHoldsWithoutOverdraftLimitStayInBounds(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	endless := k.open(t, k.business, ledger.NewAccount{Name: "Issuer", Currency: "USD"}).ID
	all := hold(endless, models.AccountID{}, models.MaxAmount)
	first := k.mustHold(t, all)
	one := hold(endless, models.AccountID{}, 1)
	_, err := k.ledger.CreateHold(t.Context(), k.business, one)
	require.True(t, errs.Is(err, errs.LimitExceeded), "no balance can give both: %v", err)
	require.Equal(t, models.MaxAmount, k.get(t, endless).Held)

	_, err = k.ledger.Post(t.Context(), k.business, debit(endless, 1))
	require.True(t, errs.Is(err, errs.LimitExceeded), "nor a debit beside it: %v", err)
	_, err = k.capture(t, first, nil, false)
	require.NoError(t, err)
	require.Equal(t, -models.MaxAmount, k.get(t, endless).Balance)
}
