package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// MaxBatchItems bounds the movements of one Batch.
const MaxBatchItems = 1000

// Batch is many movements in one operation and one commit.
type Batch struct {
	// Atomic commits all items or none; otherwise each stands for itself.
	Atomic bool
	// Items are judged in order: one may use money that an earlier one brought. An
	// item without an idempotency key gets one derived from the batch's.
	Items []Post
	// Refused holds items, by index, that the caller could not even read: they
	// fail as if the ledger had refused them.
	Refused        map[int]error
	IdempotencyKey string
	// Render makes the answer out of the results, in the order of the items. It is
	// stored with the commit, so that the batch is replayed verbatim.
	Render func([]ItemResult) (status int, body []byte, err error)
}

// ItemResult is what became of one item: its transaction as the API shows it,
// or why it was refused.
type ItemResult struct {
	Body []byte
	Err  error
}

// ItemError says which item failed an atomic batch.
type ItemError struct {
	Index int
	Err   error
}

// Error names the item.
func (e *ItemError) Error() string { return fmt.Sprintf("transactions[%d]: %v", e.Index, e.Err) }

// Unwrap returns why it failed.
func (e *ItemError) Unwrap() error { return e.Err }

// PostBatch makes the movements of a batch in one commit. It locks all their
// accounts.
//
// Coded errors: ValidationFailed (the batch itself), IdempotencyKeyReused,
// Unavailable, and for an atomic batch, as an ItemError, whatever Post returns
// for its first failing item. Refusals of the items of other batches are in the
// answer.
func (l *Ledger) PostBatch(ctx context.Context, business models.BusinessID, batch Batch) (Result, error) {
	op := &batching{Batch: batch, business: business, items: make([]*posting, len(batch.Items)), invalid: make([]error, len(batch.Items))}
	if err := op.prepare(); err != nil {
		return Result{}, err
	}
	return l.submit(ctx, "ledger.batch", business, len(batch.Items), op)
}

// batching is a Batch in the queue.
type batching struct {
	Batch
	business    models.BusinessID
	items       []*posting
	invalid     []error
	fingerprint [32]byte
	applied     bool
}

// prepare validates the batch and its items before anything is locked.
func (o *batching) prepare() error {
	var v errs.Validation
	v.Check(len(o.Items) > 0, "transactions", "must not be empty")
	v.Check(len(o.Items) <= MaxBatchItems, "transactions", "must have at most %d items", MaxBatchItems)
	if err := v.Err(); err != nil {
		return err
	}
	f := newCanonical("batch")
	f.present(o.Atomic)
	f.number(int64(len(o.Items)))
	seen := make(map[string]int, len(o.Items))
	for i, item := range o.Items {
		digest := item.fingerprint()
		f.bytes(digest[:])
		f.text(item.IdempotencyKey)
		if first, twice := seen[item.IdempotencyKey]; twice && item.IdempotencyKey != "" {
			v.Add(fmt.Sprintf("transactions[%d].idempotency_key", i), "is the same as that of transactions[%d]", first)
		}
		seen[item.IdempotencyKey] = i
		if o.invalid[i] = o.Refused[i]; o.invalid[i] == nil {
			o.invalid[i] = item.validate()
		}
		if o.invalid[i] != nil && o.Atomic {
			return &ItemError{Index: i, Err: o.invalid[i]}
		}
		o.items[i] = o.posting(i, item, digest)
	}
	o.fingerprint = f.sum()
	return v.Err()
}

func (o *batching) posting(index int, item Post, fingerprint [32]byte) *posting {
	scope := models.ScopeBatch
	if item.IdempotencyKey == "" {
		scope = models.ScopeBatchItem
		item.IdempotencyKey = o.IdempotencyKey + "/" + strconv.Itoa(index)
	}
	return &posting{Post: item, business: o.business, scope: scope, fingerprint: fingerprint}
}

func (o *batching) key() answerKey {
	return answerKey{o.business, models.ScopeBatch, o.IdempotencyKey}
}

func (o *batching) needs(n *needs) {
	n.answers = append(n.answers, o.key())
	for i, item := range o.items {
		if o.invalid[i] == nil {
			item.needs(n)
		}
	}
}

func (o *batching) mayFollow() bool {
	return !slices.ContainsFunc(o.items, func(item *posting) bool { return !item.mayFollow() })
}

func (o *batching) apply(b *book) (reply, error) {
	if known := b.answers[o.key()]; known != nil {
		return known.replay(o.fingerprint, o.applied)
	}
	before := b.mark()
	items := make([]itemReply, len(o.items))
	for i, item := range o.items {
		if items[i].err = o.invalid[i]; items[i].err != nil {
			continue
		}
		items[i].reply, items[i].err = item.apply(b)
		if err := items[i].err; err != nil && (o.Atomic || errs.As(err) == nil) {
			b.rollback(before)
			return reply{}, &ItemError{Index: i, Err: err}
		}
	}
	answer := &storedAnswer{answerKey: o.key(), fingerprint: o.fingerprint}
	answer.body = &rendering{render: func() ([]byte, error) { return o.render(answer, items) }}
	b.addAnswer(answer)
	o.applied = true
	return reply{body: answer.body}, nil
}

// itemReply is what became of one item.
type itemReply struct {
	reply
	err error
}

// render makes the answer out of what became of the items, which have been
// encoded with their events, or are replays.
func (o *batching) render(answer *storedAnswer, items []itemReply) ([]byte, error) {
	results := make([]ItemResult, len(items))
	for i, item := range items {
		results[i].Err = item.err
		if item.body == nil {
			continue
		}
		if err := item.body.encode(); err != nil {
			return nil, err
		}
		results[i].Body = item.body.bytes
	}
	status, body, err := o.Render(results)
	answer.status = int16(status)
	return body, err
}
