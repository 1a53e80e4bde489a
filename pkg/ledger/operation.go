package ledger

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// operation is one request of the queue: it names what it touches and, on
// locked rows, computes its effect or a refusal.
type operation interface {
	// needs adds everything that must be locked or read before apply.
	needs(n *needs)
	// apply judges the operation and records its effect in the book. It may run
	// more than once (after a rollback), and must leave the book as it was when
	// it returns an error.
	apply(b *book) (reply, error)
}

// follower is an operation that can tell whether it may be judged on what a batch
// ahead of its own is about to leave behind: when that depends on nothing but
// accounts and keys.
type follower interface{ mayFollow() bool }

// Result is the outcome of an operation that was not refused.
type Result struct {
	// Body is the answer as the API shows it.
	Body []byte
	// Replayed says that the operation had been done before under the same key.
	Replayed bool
}

// states of a pending operation: exactly one of the committer that claims it
// and the caller that gives up wins.
const (
	waiting int32 = iota
	claimed
	abandoned
)

// pending is an operation in the queue.
type pending struct {
	op       operation
	business models.BusinessID
	accounts []models.AccountID
	items    int
	// follows says that the operation may be judged on what a batch ahead is about to
	// leave behind.
	follows bool
	since   time.Time
	state   atomic.Int32
	// lane is where it waits; it moves to the patient lane when a row that it
	// needs is locked by somebody else.
	lane lane
	// misses counts the batches in which a row that it needs was locked.
	misses int
	// trace is nil unless the caller is in a sampled span.
	trace *operationTrace
	done  chan struct{}
	// result and err are set before done is closed.
	result Result
	err    error
}

func (p *pending) finish(result Result, err error) {
	p.result, p.err = result, err
	close(p.done)
}

// claim takes the operation for a batch; false means that its caller is gone.
func (p *pending) claim() bool { return p.state.CompareAndSwap(waiting, claimed) }

// submit queues the operation and waits for its answer. A caller whose context
// ends while the operation is queued takes it back; once a committer has
// claimed it, the answer is awaited, because it will be true. name is that of the
// operation's span.
func (l *Ledger) submit(ctx context.Context, name string, business models.BusinessID, items int, op operation) (Result, error) {
	var n needs
	op.needs(&n)
	p := &pending{op: op, business: business, items: items, since: time.Now(), done: make(chan struct{})}
	p.accounts = make([]models.AccountID, len(n.accounts))
	for i, key := range n.accounts {
		p.accounts[i] = key.id
	}
	if f, ok := op.(follower); ok {
		p.follows = f.mayFollow()
	}
	p.trace = l.traceOperation(ctx, name, p)
	result, err := l.await(ctx, p)
	p.trace.end(p, result, err)
	return result, err
}

func (l *Ledger) await(ctx context.Context, p *pending) (Result, error) {
	if err := l.queue.push(p); err != nil {
		return Result{}, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.state.CompareAndSwap(waiting, abandoned) {
			l.queue.drop(p)
			return Result{}, errs.Wrap(ctx.Err(), errs.Unavailable, "the request was cancelled before it was applied")
		}
		<-p.done
	}
	return p.result, p.err
}

// needs is what a batch locks and reads before it judges.
type needs struct {
	accounts   []accountKey
	keys       []movementKey
	references []referenceKey
	holds      []holdKey
	holdNames  []holdName
	reversals  []transactionKey
	answers    []answerKey
}

type accountKey struct {
	business models.BusinessID
	id       models.AccountID
}

// movementKey is the idempotency key of a movement.
type movementKey struct {
	business models.BusinessID
	scope    models.IdempotencyScope
	key      string
}

type referenceKey struct {
	business  models.BusinessID
	reference string
}

type holdKey struct {
	business models.BusinessID
	id       models.HoldID
}

// holdName is the idempotency key of a hold.
type holdName struct {
	business models.BusinessID
	key      string
}

type transactionKey struct {
	business models.BusinessID
	id       models.TransactionID
}
