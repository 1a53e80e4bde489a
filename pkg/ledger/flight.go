package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// A row lock is held from the first look at an account until COMMIT has returned,
// so two batches over the same accounts follow one another, and PostgreSQL and this
// process take turns. But what a batch leaves behind is known here as soon as it
// has been judged. Another batch of this process may be judged on that, and have its
// rows inserted over a second connection meanwhile. It takes the locks when the
// batch ahead has committed, in a statement that finds every account just as it was
// assumed or stops the pipeline, COMMIT included; the batch is then run again as any
// other. Nothing is answered before.

// flight is a shared batch under way that another one may follow.
type flight struct {
	// book is what the batch found and leaves behind. It does not change any more.
	book *book
	// landed is closed when it is known whether the batch has committed.
	landed    chan struct{}
	committed bool
}

// unfollowed is how long no batch follows another after one could not have the
// accounts as it had assumed them: somebody outside this process is working on them.
const unfollowed = time.Second

var (
	errTwin     = errors.New("a key of the batch is in use by the batch ahead")
	errNotAhead = errors.New("the batch ahead has not committed")
)

// lead lets other batches follow one that has been judged.
func (q *queue) lead(b *book) *flight {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := &flight{book: b, landed: make(chan struct{})}
	q.ahead = f
	q.ready[shared].Signal()
	return f
}

// land tells those that follow the flight how it ended.
func (q *queue) land(f *flight, committed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ahead == f {
		q.ahead = nil
	}
	f.committed = committed
	close(f.landed)
}

// stray keeps batches from following others for a while.
func (q *queue) stray() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.followFrom = time.Now().Add(unfollowed)
}

// followable returns the flight that a batch of the lane may follow: that of the
// only shared batch under way, when enough waits. The caller holds mu.
func (q *queue) followable(kind lane, most int) *flight {
	if kind == patient || q.ahead == nil || q.running != 1 || !q.enough(most) || time.Now().Before(q.followFrom) {
		return nil
	}
	return q.ahead
}

// carries reports whether the operation can be judged on what the flight leaves
// behind on the account: it cannot where money is on hold, for holds run out and
// their rows are read under the lock only.
func (f *flight) carries(p *pending, key accountKey) bool {
	a := f.book.accounts[key]
	return p.follows && a != nil && a.held == 0
}

// knows reports whether a key that the operations need is one of the flight's: who
// comes second is answered from the row of who came first, which is not there yet.
func (f *flight) knows(n *needs) bool {
	for _, key := range n.keys {
		if f.book.movements[key] != nil {
			return true
		}
	}
	for _, key := range n.answers {
		if f.book.answers[key] != nil {
			return true
		}
	}
	for _, name := range n.holdNames {
		if f.book.holdNames[name] != nil {
			return true
		}
	}
	return false
}

// wait blocks until the flight has committed. When it has not, what was judged on
// its outcome is void.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.landed:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !f.committed {
		return errNotAhead
	}
	return nil
}

// assume takes the flight's accounts into the book and returns the keys of those
// that are left to lock.
func (b *book) assume(ahead *flight, keys []accountKey) (left []accountKey) {
	for _, key := range keys {
		a := ahead.book.accounts[key]
		switch {
		case a == nil:
			left = append(left, key)
		case b.accounts[key] == nil:
			assumed := *a
			assumed.touched = false
			b.accounts[key] = &assumed
			b.assumed = append(b.assumed, assumed)
		}
	}
	return left
}

// lockAssumedSQL locks the accounts that are as they were assumed. It waits for
// nobody, like every lock of a shared batch.
const lockAssumedSQL = `SELECT require_rows(count(*), cardinality($1::uuid[])) FROM (
    SELECT FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[])
        AS k (business_id, id, version, balance, held, status, overdraft_limit)
    JOIN business_accounts a ON a.business_id = k.business_id AND a.id = k.id
    WHERE a.version = k.version AND a.balance = k.balance AND a.held = k.held AND a.status = k.status
        AND a.overdraft_limit IS NOT DISTINCT FROM k.overdraft_limit
    ORDER BY a.business_id, a.id FOR UPDATE OF a SKIP LOCKED) AS unchanged`

func (b *book) lockAssumed(p *database.Pipeline) {
	n := len(b.assumed)
	businesses, ids := make([]models.BusinessID, n), make([]models.AccountID, n)
	versions, balances, helds := make([]int64, n), make([]int64, n), make([]int64, n)
	statuses, limits := make([]string, n), make([]*int64, n)
	for i := range b.assumed {
		a := &b.assumed[i]
		businesses[i], ids[i] = a.business, a.id
		versions[i], balances[i], helds[i] = a.version, a.balance, a.held
		statuses[i], limits[i] = string(a.status), a.overdraftLimit
	}
	p.Exec(lockAssumedSQL, businesses, ids, versions, balances, helds, statuses, limits)
}
