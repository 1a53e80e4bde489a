package ledger

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// Post is a movement to make: a credit, a debit or a transfer.
type Post struct {
	Type models.TransactionType
	// Source is zero for a credit, Destination for a debit.
	Source, Destination models.AccountID
	// Amount is in minor units of the accounts' currency.
	Amount int64
	// Currency may be empty: the account's is used.
	Currency    string
	Description *string
	// Reference is unique per business when set.
	Reference   *string
	Metadata    models.Metadata
	EffectiveAt *time.Time
	Conditions  Conditions
	// IdempotencyKey identifies the request within the business, for ever.
	IdempotencyKey string
	// DryRun judges and answers without committing; the key is neither read nor
	// stored.
	DryRun bool
}

// Conditions are optimistic guards on the source account, judged under its lock.
type Conditions struct {
	// SourceVersion must equal the account's version.
	SourceVersion *int64
	// SourceMinBalanceAfter is the least balance that the movement may leave, in
	// minor units.
	SourceMinBalanceAfter *int64
}

// Post makes one movement and returns the transaction as the API shows it, with
// the event transaction.created written in the same commit. It locks the source
// and the destination account.
//
// Coded errors: ValidationFailed, NotFound (an account), CurrencyMismatch,
// AccountNotActive, ConditionFailed, InsufficientFunds, LimitExceeded,
// AlreadyExists (the reference), IdempotencyKeyReused, Unavailable. None of them
// burns the key, and none but Unavailable leaves open whether money moved.
func (l *Ledger) Post(ctx context.Context, business models.BusinessID, post Post) (Result, error) {
	if err := post.validate(); err != nil {
		return Result{}, err
	}
	return l.submit(ctx, "ledger.post", business, 1, newPosting(business, post))
}

func (p *Post) validate() error {
	var v errs.Validation
	models.CheckAmount(&v, "amount", p.Amount)
	needsSource, needsDestination := p.Type != models.Credit, p.Type != models.Debit
	switch p.Type {
	case models.Credit, models.Debit, models.Transfer:
		checkSide(&v, "source_account_id", p.Type, p.Source, needsSource)
		checkSide(&v, "destination_account_id", p.Type, p.Destination, needsDestination)
		v.Check(p.Source != p.Destination || p.Source.IsZero(), "destination_account_id", "must differ from source_account_id")
	default:
		v.Add("type", "must be credit, debit or transfer")
	}
	if p.Currency != "" {
		_, known := models.CurrencyExponent(p.Currency)
		v.Check(known, "currency", "must be an ISO 4217 code")
	}
	checkOptional(&v, "description", p.Description, models.MaxDescription)
	checkOptional(&v, "reference", p.Reference, models.MaxReference)
	p.Metadata.Check(&v, "metadata")
	if p.Conditions.guarded() {
		v.Check(needsSource, "conditions", "need a source account")
	}
	return v.Err()
}

func checkSide(v *errs.Validation, field string, kind models.TransactionType, id models.AccountID, wanted bool) {
	v.Check(!wanted || !id.IsZero(), field, "is required for a %s", kind)
	v.Check(wanted || id.IsZero(), field, "must be left out for a %s", kind)
}

func checkOptional(v *errs.Validation, field string, text *string, most int) {
	if text != nil {
		models.CheckLength(v, field, *text, 1, most)
	}
}

func (c Conditions) guarded() bool { return c.SourceVersion != nil || c.SourceMinBalanceAfter != nil }

func (c Conditions) judge(source *account, amount int64) error {
	if c.SourceVersion != nil && *c.SourceVersion != source.version {
		return errs.New(errs.ConditionFailed, "source_version: account %s is at version %d, not %d",
			source.id, source.version, *c.SourceVersion)
	}
	if c.SourceMinBalanceAfter != nil && source.balance-amount < *c.SourceMinBalanceAfter {
		return errs.New(errs.ConditionFailed, "source_min_balance_after: the balance of account %s would be %d, less than %d",
			source.id, source.balance-amount, *c.SourceMinBalanceAfter)
	}
	return nil
}

// posting is a Post in the queue.
type posting struct {
	Post
	business    models.BusinessID
	scope       models.IdempotencyScope
	fingerprint [32]byte
	// made lists the ids that earlier runs gave the movement: when a COMMIT was
	// cut off, they tell our own row from somebody else's.
	made []models.TransactionID
}

func newPosting(business models.BusinessID, post Post) *posting {
	return &posting{Post: post, business: business, scope: models.ScopePost, fingerprint: post.fingerprint()}
}

func (p *posting) key() movementKey {
	return movementKey{p.business, p.scope, p.IdempotencyKey}
}

func (p *posting) needs(n *needs) {
	for _, id := range [...]models.AccountID{p.Source, p.Destination} {
		if !id.IsZero() {
			n.accounts = append(n.accounts, accountKey{p.business, id})
		}
	}
	if !p.DryRun {
		n.keys = append(n.keys, p.key())
	}
	if p.Reference != nil {
		n.references = append(n.references, referenceKey{p.business, *p.Reference})
	}
}

// mayFollow is false with a reference: the batch ahead may be about to take it.
func (p *posting) mayFollow() bool { return p.Reference == nil }

func (p *posting) apply(b *book) (reply, error) {
	if !p.DryRun {
		if known := b.movements[p.key()]; known != nil {
			return known.replay(p.fingerprint, p.IdempotencyKey, p.made)
		}
	}
	source, destination, err := p.judge(b)
	if err != nil {
		return reply{}, err
	}
	before := b.mark()
	id, body := p.record(b, source, destination)
	if p.DryRun {
		b.rollback(before)
		return reply{body: body}, nil
	}
	b.claimKey(p.key(), &movement{id: id, fingerprint: p.fingerprint, body: body})
	p.made = append(p.made, id)
	return reply{body: body}, nil
}

func (p *posting) judge(b *book) (source, destination *account, err error) {
	if !p.Source.IsZero() {
		if source, err = b.account(p.business, p.Source, "source_account_id"); err != nil {
			return nil, nil, err
		}
	}
	if !p.Destination.IsZero() {
		if destination, err = b.account(p.business, p.Destination, "destination_account_id"); err != nil {
			return nil, nil, err
		}
	}
	if err := b.requireReference(p.business, p.Reference); err != nil {
		return nil, nil, err
	}
	return source, destination, judgeMovement(source, destination, p.Amount, p.Currency, p.Conditions)
}

// judgeMovement decides whether the amount may move between two locked accounts,
// either of which may be nil. An empty currency means the accounts' own.
func judgeMovement(source, destination *account, amount int64, currency string, conditions Conditions) error {
	for _, a := range [...]*account{source, destination} {
		if a == nil {
			continue
		}
		if currency == "" {
			currency = a.currency
		}
		if err := a.requireCurrency(currency); err != nil {
			return err
		}
	}
	for _, a := range [...]*account{source, destination} {
		if a == nil {
			continue
		}
		if err := a.requireActive(); err != nil {
			return err
		}
	}
	if source != nil {
		if err := conditions.judge(source, amount); err != nil {
			return err
		}
		if err := source.requireFunds(amount); err != nil {
			return err
		}
	}
	if destination != nil {
		return destination.requireRoom(amount)
	}
	return nil
}

// record writes the movement into the book.
func (p *posting) record(b *book, source, destination *account) (models.TransactionID, *rendering) {
	at := b.clock(source, destination)
	return b.record(models.Transaction{
		BusinessID: p.business, ID: models.NewIDAt[models.TransactionPrefix](at), Type: p.Type,
		Amount: p.Amount, Description: p.Description, Reference: p.Reference, Metadata: p.Metadata,
		IdempotencyScope: p.scope, IdempotencyKey: p.IdempotencyKey, Fingerprint: p.fingerprint[:],
		EffectiveAt: p.EffectiveAt, CreatedAt: at,
	}, source, destination)
}

// record appends a transaction with its entries and its transaction.created
// event, and returns its id and how the API shows it.
func (b *book) record(t models.Transaction, source, destination *account) (models.TransactionID, *rendering) {
	var sides [2]models.Entry
	entries := sides[:0]
	if source != nil {
		entry := b.enter(source, t.ID, -t.Amount, t.CreatedAt)
		t.Currency, t.SourceAccountID, t.SourceSequence = source.currency, &source.id, &entry.Sequence
		entries = append(entries, entry)
	}
	if destination != nil {
		entry := b.enter(destination, t.ID, t.Amount, t.CreatedAt)
		t.Currency, t.DestinationAccountID, t.DestinationSequence = destination.currency, &destination.id, &entry.Sequence
		entries = append(entries, entry)
	}
	shape := wire.NewTransaction(&t, entries, 0)
	body := &rendering{transaction: &shape}
	b.transactions = append(b.transactions, t)
	if t.Reference != nil {
		b.claimReference(referenceKey{t.BusinessID, *t.Reference})
	}
	b.emit(t.BusinessID, models.EventTransactionCreated, t.CreatedAt, body)
	return t.ID, body
}
