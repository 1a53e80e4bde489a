package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

func TestLockedTenantDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	const lockTimeout = 3 * time.Second
	k := newKit(t, ledger.Options{LockTimeout: lockTimeout})
	// More locked accounts than committers: a committer that waited for one would
	// leave none for the others.
	locked := []models.AccountID{k.account(t, 1000), k.account(t, 1000), k.account(t, 1000), k.account(t, 1000)}
	free := k.account(t, 1000)
	healthy := k.newBusiness(t)
	from, to := k.accountOf(t, healthy, 100_000), k.accountOf(t, healthy, 0)

	lock, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer lock.Rollback(context.Background()) //nolint:errcheck // ends with the test
	_, err = lock.Exec(t.Context(), "SELECT 1 FROM business_accounts WHERE business_id = $1 AND id = ANY ($2) FOR UPDATE", k.business, locked)
	require.NoError(t, err)

	stop := make(chan struct{})
	var troubled, others errgroup.Group
	for i := range 8 {
		troubled.Go(func() error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				if _, err := k.ledger.Post(t.Context(), k.business, debit(locked[i%4], 1)); !errs.Is(err, errs.Unavailable) {
					return fmt.Errorf("a locked account answered %w", err)
				}
			}
		})
	}
	var slowest [4]time.Duration
	for i := range slowest {
		others.Go(func() error {
			for range 100 {
				started := time.Now()
				if _, err := k.ledger.Post(t.Context(), healthy, transfer(from, to, 1)); err != nil {
					return err
				}
				slowest[i] = max(slowest[i], time.Since(started))
			}
			return nil
		})
	}
	require.NoError(t, others.Wait())
	_, err = k.ledger.Post(t.Context(), k.business, debit(free, 1))
	require.NoError(t, err, "another account of the locked tenant")
	close(stop)
	require.NoError(t, troubled.Wait())
	for _, took := range slowest {
		require.Less(t, took, lockTimeout, "a healthy tenant waited for a foreign lock")
	}

	require.NoError(t, lock.Rollback(t.Context()))
	_, err = k.ledger.Post(t.Context(), k.business, debit(locked[0], 1))
	require.NoError(t, err, "the lock is gone")
	k.requireSound(t)
}

func TestPoisonedTenantFailsAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	poisoned, free := k.account(t, 1000), k.account(t, 1000)
	healthy := k.newBusiness(t)
	from, to := k.accountOf(t, healthy, 100_000), k.accountOf(t, healthy, 0)
	// A row that cannot be written: PostgreSQL raises in the middle of the batch.
	_, err := k.db.Pool.Exec(t.Context(), `CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN IF NEW.id = TG_ARGV[0]::uuid THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$`)
	require.NoError(t, err)
	_, err = k.db.Pool.Exec(t.Context(), `CREATE TRIGGER poison BEFORE UPDATE ON business_accounts
		FOR EACH ROW EXECUTE FUNCTION poison('`+poisoned.UUID()+`')`)
	require.NoError(t, err)

	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 20 {
				if _, err := k.ledger.Post(t.Context(), k.business, debit(poisoned, 1)); errs.CodeOf(err) != errs.Internal {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for range 50 {
				if _, err := k.ledger.Post(t.Context(), healthy, transfer(from, to, 1)); err != nil {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for range 20 {
				if _, err := k.ledger.Post(t.Context(), k.business, debit(free, 1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, int64(1000), k.get(t, poisoned).Balance)
	require.Equal(t, int64(1000-160), k.get(t, free).Balance)
	k.requireSound(t)
}

func TestUnknownAccountsOfOneTenantDoNotSlowTheOthers(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 1000)
	healthy := k.newBusiness(t)
	to := k.accountOf(t, healthy, 0)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 25 {
				_, err := k.ledger.Post(t.Context(), k.business, transfer(a, models.NewID[models.AccountPrefix](), 1))
				if !errs.Is(err, errs.NotFound) {
					return err
				}
				if _, err := k.ledger.Post(t.Context(), healthy, credit(to, 1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	k.requireSound(t)
}

func TestCancelledRequestIsDroppedOnlyWhileItWaits(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 0)
	var group errgroup.Group
	for i := range 200 {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*100*time.Microsecond)
			defer cancel()
			_, err := k.ledger.Post(ctx, k.business, credit(a, 1))
			if err != nil && !errs.Is(err, errs.Unavailable) {
				return err
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	account := k.get(t, a)
	require.Equal(t, account.Version, account.Balance)
	k.requireSound(t)
}
