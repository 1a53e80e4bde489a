package ledger_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// barrier keeps everybody from writing to a table.
type barrier struct {
	table string
	tx    pgx.Tx
}

// here leaves out the locks in other databases, where tables have the same numbers.
const here = `database = (SELECT oid FROM pg_database WHERE datname = current_database())`

// patience outlasts whatever holds a batch up.
const patience = time.Minute

// A batch writes the outbox last, and metadata only if it has any: a barrier on the
// one holds up the batch ahead, on the other the batch that follows it.
func (k *kit) barrier(t *testing.T, table string) *barrier {
	t.Helper()
	tx, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(t.Context()) })
	_, err = tx.Exec(t.Context(), "LOCK TABLE "+table+" IN SHARE MODE")
	require.NoError(t, err)
	return &barrier{table, tx}
}

// await waits until somebody stands before the barrier, and returns who.
func (b *barrier) await(t *testing.T) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return b.tx.QueryRow(t.Context(), `SELECT pid FROM pg_locks WHERE NOT granted AND relation = $1::regclass AND `+here, b.table).Scan(&pid) == nil
	}, 20*time.Second, time.Millisecond, "nobody writes to %s", b.table)
	return pid
}

func (b *barrier) lift(t *testing.T) {
	t.Helper()
	require.NoError(t, b.tx.Rollback(t.Context()))
}

// awaitWritten waits until so many open transactions have written to the table.
func (k *kit) awaitWritten(t *testing.T, table string, transactions int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var writing int
		err := k.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks
			WHERE granted AND mode = 'RowExclusiveLock' AND relation = $1::regclass AND `+here, table).Scan(&writing)
		return err == nil && writing == transactions
	}, 20*time.Second, time.Millisecond)
}

// hundred is a batch that is large enough to follow another.
func hundred(post func() ledger.Post) ledger.Batch {
	items := make([]ledger.Post, 100)
	for i := range items {
		items[i] = post()
	}
	return batchOf(true, items...)
}

// marked is a transfer of 1 with metadata.
func marked(from, to models.AccountID) func() ledger.Post {
	return func() ledger.Post {
		post := transfer(from, to, 1)
		post.Metadata = models.Metadata{"batch": "behind"}
		return post
	}
}

// sending is a batch on its way.
type sending struct {
	answered chan struct{}
	result   ledger.Result
	err      error
}

func (k *kit) send(t *testing.T, group *errgroup.Group, batch ledger.Batch) *sending {
	t.Helper()
	s := &sending{answered: make(chan struct{})}
	group.Go(func() error {
		defer close(s.answered)
		s.result, s.err = k.ledger.PostBatch(t.Context(), k.business, batch)
		return nil
	})
	return s
}

func TestABatchFollowsAnotherOnItsAccounts(t *testing.T) {
	t.Parallel()
	seen := &tally{}
	k := newKit(t, ledger.Options{LockTimeout: patience, Observer: seen})
	a, b := k.account(t, 0), k.account(t, 0)
	outbox := k.barrier(t, "webhook_outbox")
	var group errgroup.Group
	ahead := k.send(t, &group, hundred(func() ledger.Post { return credit(a, 1) }))
	outbox.await(t)
	behind := k.send(t, &group, hundred(marked(a, b))) // money that is not there yet to anybody else
	k.awaitWritten(t, "webhook_events", 2)
	require.Zero(t, k.get(t, b).Balance, "it commits after the batch ahead")

	outbox.lift(t)
	require.NoError(t, group.Wait())
	require.NoError(t, ahead.err)
	require.NoError(t, behind.err)
	require.False(t, behind.result.Replayed)
	require.Equal(t, int64(1), seen.kept.Load())
	require.Zero(t, seen.void.Load())
	require.Equal(t, int64(100), k.get(t, b).Balance)
	require.Equal(t, int64(200), k.get(t, a).Version)
	k.requireSound(t)
}

// TestARefusalWaitsForTheBatchAhead, for it is as good as what it was judged on.
func TestARefusalWaitsForTheBatchAhead(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{LockTimeout: patience})
	a, b := k.account(t, 100), k.account(t, 0)
	outbox := k.barrier(t, "webhook_outbox")
	var group errgroup.Group
	ahead := k.send(t, &group, hundred(func() ledger.Post { return debit(a, 1) }))
	outbox.await(t)
	behind := k.send(t, &group, hundred(marked(a, b)))
	require.Eventually(t, func() bool {
		var judging int
		err := k.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> $1`, outbox.tx.Conn().PgConn().PID()).Scan(&judging)
		return err == nil && judging == 1
	}, 20*time.Second, time.Millisecond)
	select {
	case <-behind.answered:
		t.Error("refused because of movements that have not happened")
	case <-time.After(50 * time.Millisecond):
	}
	outbox.lift(t)
	require.NoError(t, group.Wait())
	require.NoError(t, ahead.err)
	require.True(t, errs.Is(behind.err, errs.InsufficientFunds), "%v", behind.err)
	k.requireSound(t)
}

func (k *kit) kill(t *testing.T, pid int) {
	t.Helper()
	_, err := k.db.Pool.Exec(t.Context(), "SELECT pg_terminate_backend($1)", pid)
	require.NoError(t, err)
}

// TestTheBatchAheadIsLost: what was judged on it is void, and judged anew.
func TestTheBatchAheadIsLost(t *testing.T) {
	t.Parallel()
	seen := &tally{}
	k := newKit(t, ledger.Options{LockTimeout: patience, Observer: seen})
	a, b := k.account(t, 50), k.account(t, 0)
	outbox := k.barrier(t, "webhook_outbox")
	var group errgroup.Group
	ahead := k.send(t, &group, hundred(func() ledger.Post { return credit(a, 1) }))
	pid := outbox.await(t)
	behind := k.send(t, &group, hundred(marked(a, b)))
	k.awaitWritten(t, "webhook_events", 2)
	k.kill(t, pid)
	outbox.lift(t)
	require.NoError(t, group.Wait())
	require.NoError(t, ahead.err, "it was run again")
	require.Equal(t, int64(1), seen.void.Load())
	if behind.err != nil { // ahead of it
		require.True(t, errs.Is(behind.err, errs.InsufficientFunds), "%v", behind.err)
		require.Equal(t, int64(150), k.get(t, a).Balance)
	} else {
		require.Equal(t, int64(50), k.get(t, a).Balance)
	}
	k.requireSound(t)
}

// TestSomebodyElseComesBetween: between the COMMIT of the batch ahead and the locks of
// the one behind.
func TestSomebodyElseComesBetween(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between func(k *kit, a models.AccountID) error
		refusal errs.Code
		balance int64
	}{
		"with money": {between: func(k *kit, a models.AccountID) error {
			_, err := k.ledger.Post(t.Context(), k.business, credit(a, 5))
			return err
		}, balance: 5},
		"without money": {between: func(k *kit, a models.AccountID) error {
			_, err := k.ledger.Post(t.Context(), k.business, debit(a, 100))
			return err
		}, refusal: errs.InsufficientFunds},
		"with a hold": {between: func(k *kit, a models.AccountID) error {
			_, err := k.ledger.CreateHold(t.Context(), k.business, hold(a, models.AccountID{}, 1))
			return err
		}, refusal: errs.InsufficientFunds, balance: 100},
		"freezing": {between: func(k *kit, a models.AccountID) error {
			return k.become(t, a, models.AccountFrozen)
		}, refusal: errs.AccountNotActive, balance: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &tally{}
			k := newKit(t, ledger.Options{LockTimeout: patience, Observer: seen})
			replica := *k
			replica.ledger = startLedger(t, k.db, ledger.Options{})
			a, b := k.account(t, 0), k.account(t, 0)
			metadata, outbox := k.barrier(t, "transaction_metadata"), k.barrier(t, "webhook_outbox")
			var group errgroup.Group
			ahead := k.send(t, &group, hundred(func() ledger.Post { return credit(a, 1) }))
			outbox.await(t)
			behind := k.send(t, &group, hundred(marked(a, b)))
			metadata.await(t)
			outbox.lift(t)
			require.Eventually(t, func() bool { return k.get(t, a).Balance == 100 }, 20*time.Second, time.Millisecond)

			require.NoError(t, c.between(&replica, a))
			metadata.lift(t)
			require.NoError(t, group.Wait())
			require.NoError(t, ahead.err)
			if c.refusal != "" {
				require.True(t, errs.Is(behind.err, c.refusal), "%v", behind.err)
			} else {
				require.NoError(t, behind.err)
			}
			require.Zero(t, seen.kept.Load())
			require.Equal(t, int64(1), seen.void.Load())
			require.Equal(t, c.balance, k.get(t, a).Balance)
			k.requireSound(t)
		})
	}
}

// TestATwinOfTheBatchAheadIsAReplay even though the money that it would need is gone.
func TestATwinOfTheBatchAheadIsAReplay(t *testing.T) {
	t.Parallel()
	seen := &tally{}
	k := newKit(t, ledger.Options{LockTimeout: patience, Observer: seen})
	a := k.account(t, 100)
	whole := hundred(func() ledger.Post { return debit(a, 1) })
	single := debit(a, 1)
	// The same key in another batch, whose other items find nothing left.
	ofItem := ledger.Batch{Items: hundred(func() ledger.Post { return debit(a, 1) }).Items, IdempotencyKey: key(), Render: render}
	whole.Items[0], ofItem.Items[0] = single, single

	outbox := k.barrier(t, "webhook_outbox")
	var group errgroup.Group
	first := k.send(t, &group, whole)
	outbox.await(t)
	twin, other := k.send(t, &group, whole), k.send(t, &group, ofItem)
	require.Eventually(t, func() bool { return seen.void.Load() == 1 }, 20*time.Second, time.Millisecond)
	outbox.lift(t)
	require.NoError(t, group.Wait())
	require.NoError(t, first.err)
	require.NoError(t, twin.err)
	require.NotEqual(t, first.result.Replayed, twin.result.Replayed)
	require.NoError(t, other.err)
	require.Regexp(t, `^ok,insufficient_funds,`, string(other.result.Body))
	k.requireSound(t)
}

// TestBatchesFollowOneAnother on few accounts, at first alone, then beside another
// ledger and beside holds, which nothing follows.
func TestBatchesFollowOneAnother(t *testing.T) {
	t.Parallel()
	seen := &tally{}
	k := newKit(t, ledger.Options{LockTimeout: patience, Observer: seen})
	other := startLedger(t, k.db, ledger.Options{LockTimeout: patience})
	var accounts [5]models.AccountID
	for i := range accounts {
		accounts[i] = k.account(t, 1000)
	}
	post := func(l *ledger.Ledger, n int) error {
		batch := hundred(func() ledger.Post { return transfer(accounts[n%5], accounts[(n+1)%5], int64(1+n%3)) })
		batch.Atomic = n%2 == 0
		_, err := l.PostBatch(t.Context(), k.business, batch)
		if errs.Is(err, errs.InsufficientFunds) {
			return nil
		}
		return err
	}
	var group errgroup.Group
	for n := range 8 {
		group.Go(func() error {
			for i := range 6 {
				if err := post(k.ledger, n+i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Positive(t, seen.kept.Load())

	for n := range 8 {
		group.Go(func() error {
			for i := range 4 {
				if err := post([]*ledger.Ledger{k.ledger, other}[n%2], n+i); err != nil {
					return err
				}
			}
			_, err := k.ledger.CreateHold(t.Context(), k.business, hold(accounts[n%5], accounts[(n+1)%5], 1))
			if errs.Is(err, errs.InsufficientFunds) {
				return nil
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	var sum int64
	for _, id := range accounts {
		sum += k.get(t, id).Balance
	}
	require.Equal(t, int64(5000), sum)
	k.requireSound(t)
}
