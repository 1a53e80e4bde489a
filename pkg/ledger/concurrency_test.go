package ledger_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// Two ledgers on one database stand for two API processes: they share nothing
// but PostgreSQL.

func TestOppositeTransfersNeitherDeadlockNorOverdraw(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, ledger.Options{})}
	a, b := k.account(t, 500), k.account(t, 500)
	var moved [2]atomic.Int64
	var group errgroup.Group
	for client := range 64 {
		group.Go(func() error {
			for range 20 {
				direction := client % 2
				post := transfer(a, b, 90)
				if direction == 1 {
					post = transfer(b, a, 90)
				}
				_, err := replicas[client/2%2].Post(t.Context(), k.business, post)
				switch {
				case err == nil:
					moved[direction].Add(90)
				case !errs.Is(err, errs.InsufficientFunds):
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, 500-moved[0].Load()+moved[1].Load(), k.get(t, a).Balance)
	require.Equal(t, 500+moved[0].Load()-moved[1].Load(), k.get(t, b).Balance)
	require.Positive(t, moved[0].Load())
	require.Positive(t, moved[1].Load())
	k.requireSound(t)
}

func TestOneKeySentManyTimesMovesMoneyOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, ledger.Options{})}
	a, b := k.account(t, 1000), k.account(t, 0)
	for range 5 {
		post := transfer(a, b, 10)
		var first atomic.Int64
		var bodies sync.Map
		var group errgroup.Group
		for i := range 50 {
			group.Go(func() error {
				result, err := replicas[i%2].Post(t.Context(), k.business, post)
				if err != nil {
					return err
				}
				if !result.Replayed {
					first.Add(1)
				}
				bodies.Store(string(result.Body), true)
				return nil
			})
		}
		require.NoError(t, group.Wait())
		require.Equal(t, int64(1), first.Load(), "answers that were not replays")
		distinct := 0
		bodies.Range(func(any, any) bool { distinct++; return true })
		require.Equal(t, 1, distinct, "different bodies")
	}
	require.Equal(t, int64(50), k.get(t, b).Balance)
	k.requireSound(t)
}

func TestOneKeyForDifferentAccountsOnTwoReplicas(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, ledger.Options{})}
	accounts := []models.AccountID{k.account(t, 0), k.account(t, 0), k.account(t, 0), k.account(t, 0)}
	for range 20 {
		var won, reused atomic.Int64
		shared := key()
		var group errgroup.Group
		for i, account := range accounts {
			group.Go(func() error {
				post := credit(account, 1)
				post.IdempotencyKey = shared
				_, err := replicas[i%2].Post(t.Context(), k.business, post)
				switch {
				case err == nil:
					won.Add(1)
				case errs.Is(err, errs.IdempotencyKeyReused):
					reused.Add(1)
				default:
					return err
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		require.Equal(t, int64(1), won.Load())
		require.Equal(t, int64(3), reused.Load())
	}
	k.requireSound(t)
}

func TestOneReferenceIsTakenOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, ledger.Options{})}
	accounts := []models.AccountID{k.account(t, 0), k.account(t, 0)}
	for range 10 {
		var won atomic.Int64
		reference := key()
		var group errgroup.Group
		for i := range 8 {
			group.Go(func() error {
				post := credit(accounts[i/2%2], 1)
				post.Reference = &reference
				_, err := replicas[i%2].Post(t.Context(), k.business, post)
				if err == nil {
					won.Add(1)
					return nil
				}
				if errs.Is(err, errs.AlreadyExists) {
					return nil
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Equal(t, int64(1), won.Load())
	}
	k.requireSound(t)
}

func TestClosedLedgerRefusesAndDrains(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a := k.account(t, 0)
	l := startLedger(t, k.db, ledger.Options{})
	var group errgroup.Group
	var accepted atomic.Int64
	started := make(chan struct{}, 200)
	for range 200 {
		group.Go(func() error {
			started <- struct{}{}
			_, err := l.Post(t.Context(), k.business, credit(a, 1))
			if err == nil {
				accepted.Add(1)
			} else if !errs.Is(err, errs.Unavailable) {
				return err
			}
			return nil
		})
	}
	<-started
	require.NoError(t, l.Close(t.Context()))
	require.NoError(t, group.Wait())
	require.Equal(t, accepted.Load(), k.get(t, a).Balance, "accepted is committed, refused is not")
	_, err := l.Post(t.Context(), k.business, credit(a, 1))
	require.True(t, errs.Is(err, errs.Unavailable))
}
