package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// Reverse gives money of an earlier movement back.
type Reverse struct {
	Transaction models.TransactionID
	// Amount is in minor units; nil reverses all that is left.
	Amount      *int64
	Description *string
	// Reference is unique per business when set.
	Reference      *string
	Metadata       models.Metadata
	IdempotencyKey string
}

// Reverse moves money the other way and returns the new transaction as the API
// shows it, with the events transaction.created and transaction.reversed. All
// reversals of a transaction together never exceed it. It locks the original's
// accounts.
//
// Coded errors: ValidationFailed (also beyond what is left), NotFound,
// InvalidState (a reversal, or nothing left), AccountNotActive,
// InsufficientFunds, LimitExceeded, AlreadyExists (the reference),
// IdempotencyKeyReused, Unavailable.
func (l *Ledger) Reverse(ctx context.Context, business models.BusinessID, in Reverse) (Result, error) {
	var v errs.Validation
	if in.Amount != nil {
		models.CheckAmount(&v, "amount", *in.Amount)
	}
	checkOptional(&v, "description", in.Description, models.MaxDescription)
	checkOptional(&v, "reference", in.Reference, models.MaxReference)
	in.Metadata.Check(&v, "metadata")
	if err := v.Err(); err != nil {
		return Result{}, err
	}
	// Transactions never change: read without a lock, it says what to lock.
	original, err := l.transactionRow(ctx, business, in.Transaction)
	if err != nil {
		return Result{}, err
	}
	return l.submit(ctx, "ledger.reverse", business, 1, &reversing{Reverse: in, business: business, original: original, fingerprint: in.fingerprint()})
}

func (r *Reverse) fingerprint() [32]byte {
	f := newCanonical("reverse")
	f.bytes(r.Transaction[:])
	f.optionalNumber(r.Amount)
	f.optionalText(r.Description)
	f.optionalText(r.Reference)
	f.metadata(r.Metadata)
	return f.sum()
}

// reversing is a Reverse in the queue.
type reversing struct {
	Reverse
	business    models.BusinessID
	original    transactionRow
	fingerprint [32]byte
	made        []models.TransactionID
}

func (r *reversing) key() movementKey {
	return movementKey{r.business, models.ScopeReverse, r.IdempotencyKey}
}

func (r *reversing) needs(n *needs) {
	for _, id := range [...]*models.AccountID{r.original.SourceAccountID, r.original.DestinationAccountID} {
		if id != nil {
			n.accounts = append(n.accounts, accountKey{r.business, *id})
		}
	}
	n.keys = append(n.keys, r.key())
	n.reversals = append(n.reversals, transactionKey{r.business, r.Transaction})
	if r.Reference != nil {
		n.references = append(n.references, referenceKey{r.business, *r.Reference})
	}
}

func (r *reversing) apply(b *book) (reply, error) {
	if known := b.movements[r.key()]; known != nil {
		return known.replay(r.fingerprint, r.IdempotencyKey, r.made)
	}
	// Money goes back from where it went to.
	source, err := r.side(b, r.original.DestinationAccountID)
	if err != nil {
		return reply{}, err
	}
	destination, err := r.side(b, r.original.SourceAccountID)
	if err != nil {
		return reply{}, err
	}
	amount, err := r.judge(b, source, destination)
	if err != nil {
		return reply{}, err
	}
	return r.record(b, source, destination, amount), nil
}

func (r *reversing) side(b *book, id *models.AccountID) (*account, error) {
	if id == nil {
		return nil, nil
	}
	return b.account(r.business, *id, "account_id")
}

func (r *reversing) judge(b *book, source, destination *account) (amount int64, err error) {
	if r.original.ReversesTransactionID != nil {
		return 0, errs.New(errs.InvalidState, "transaction %s is itself a reversal", r.Transaction)
	}
	left := r.original.Amount - b.reversedOf(r.business, r.Transaction)
	amount = left
	switch {
	case r.Amount != nil && *r.Amount > left:
		return 0, errs.Invalid("amount", "transaction %s has %d left to reverse", r.Transaction, left)
	case r.Amount != nil:
		amount = *r.Amount
	case left == 0:
		return 0, errs.New(errs.InvalidState, "transaction %s has been reversed in full", r.Transaction)
	}
	if err := b.requireReference(r.business, r.Reference); err != nil {
		return 0, err
	}
	return amount, judgeMovement(source, destination, amount, r.original.Currency, Conditions{})
}

func (r *reversing) record(b *book, source, destination *account, amount int64) reply {
	kind := models.Transfer
	switch {
	case source == nil:
		kind = models.Credit
	case destination == nil:
		kind = models.Debit
	}
	at := b.clock(source, destination)
	id, body := b.record(models.Transaction{
		BusinessID: r.business, ID: models.NewIDAt[models.TransactionPrefix](at), Type: kind, Amount: amount,
		Description: r.Description, Reference: r.Reference, Metadata: r.Metadata, ReversesTransactionID: &r.Transaction,
		IdempotencyScope: models.ScopeReverse, IdempotencyKey: r.IdempotencyKey, Fingerprint: r.fingerprint[:], CreatedAt: at,
	}, source, destination)
	total := b.addReversal(r.business, r.Transaction, r.original.Amount, amount)
	original := wire.NewTransaction(&r.original.Transaction, r.original.entries, total)
	b.emit(r.business, models.EventTransactionReversed, at, &rendering{transaction: &original})
	b.claimKey(r.key(), &movement{id: id, fingerprint: r.fingerprint, body: body})
	r.made = append(r.made, id)
	return reply{body: body}
}

// reversal is how much of a transaction has been reversed: a row under the locks
// of the transaction's accounts.
type reversal struct {
	transactionKey
	amount, reversed int64
	listed           bool
}

func (b *book) reversedOf(business models.BusinessID, id models.TransactionID) int64 {
	if known := b.reversals[transactionKey{business, id}]; known != nil {
		return known.reversed
	}
	return 0
}

// addReversal adds to what has been reversed of a transaction and returns the
// sum.
func (b *book) addReversal(business models.BusinessID, id models.TransactionID, original, amount int64) int64 {
	key := transactionKey{business, id}
	r := b.reversals[key]
	if r == nil {
		r = &reversal{transactionKey: key, amount: original}
		b.reversals[key] = r
	}
	if !r.listed {
		r.listed = true
		b.reversed = append(b.reversed, r)
	}
	b.onRollback(func() { r.reversed -= amount })
	r.reversed += amount
	return r.reversed
}

const reversalsSQL = `SELECT r.business_id, r.transaction_id, r.amount, r.reversed
FROM unnest($1::uuid[], $2::uuid[]) AS k (business_id, id)
JOIN reversals r ON r.business_id = k.business_id AND r.transaction_id = k.id`

func (b *book) queueReversals(reads *pgx.Batch, keys []transactionKey) {
	if len(keys) == 0 {
		return
	}
	businesses, ids := make([]models.BusinessID, len(keys)), make([]models.TransactionID, len(keys))
	for i, key := range keys {
		businesses[i], ids[i] = key.business, key.id
	}
	reads.Queue(reversalsSQL, businesses, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var r reversal
			if err := rows.Scan(&r.business, &r.id, &r.amount, &r.reversed); err != nil {
				return fmt.Errorf("reading a reversal: %w", err)
			}
			b.reversals[r.transactionKey] = &r
		}
		return rows.Err()
	})
}

const upsertReversalsSQL = `INSERT INTO reversals (business_id, transaction_id, amount, reversed)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[])
ON CONFLICT (business_id, transaction_id) DO UPDATE SET reversed = excluded.reversed`

func (b *book) writeReversals(p *database.Pipeline) {
	var businesses []models.BusinessID
	var ids []models.TransactionID
	var amounts, reversed []int64
	for _, r := range b.reversed {
		if r.reversed == 0 {
			continue // rolled back before anything was reversed
		}
		businesses, ids = append(businesses, r.business), append(ids, r.id)
		amounts, reversed = append(amounts, r.amount), append(reversed, r.reversed)
	}
	if len(ids) > 0 {
		p.Exec(upsertReversalsSQL, businesses, ids, amounts, reversed)
	}
}
