package ledger

import (
	"slices"
	"time"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// book is the state that a batch judges against, in memory: the locked
// accounts, what is already stored under its keys and references, and the rows
// that it is going to write.
type book struct {
	// now is the database's clock, read after the locks were taken. One clock
	// serves all replicas.
	now      time.Time
	accounts map[accountKey]*account
	// assumed are accounts as the batch ahead leaves them, which are not locked yet.
	assumed    []account
	movements  map[movementKey]*movement
	references map[referenceKey]struct{}
	holds      map[holdKey]*hold
	holdNames  map[holdName]*hold
	reversals  map[transactionKey]*reversal
	answers    map[answerKey]*storedAnswer
	// trace is what the events of the operation that is being judged keep of theirs.
	trace *string

	transactions []models.Transaction
	entries      []models.Entry
	events       []event
	// These list what is new or changed, each once.
	touched    []*account
	newHolds   []*hold
	oldHolds   []*hold
	reversed   []*reversal
	newAnswers []*storedAnswer
	undo       []undo
}

// account is a locked row.
type account struct {
	business models.BusinessID
	id       models.AccountID
	accountState
	currency       string
	status         models.AccountStatus
	overdraftLimit *int64
	touched        bool
}

// accountState is what movements change on an account.
type accountState struct {
	balance, held, version int64
	lastEntryAt            time.Time
}

// movement is a transaction that stands under an idempotency key: stored
// before, or made earlier in the same batch.
type movement struct {
	id          models.TransactionID
	fingerprint [32]byte
	body        *rendering
}

// replay answers a request from the movement that stands under its key. made
// lists the ids that earlier runs of the same request gave the movement.
func (m *movement) replay(fingerprint [32]byte, key string, made []models.TransactionID) (reply, error) {
	if m.fingerprint != fingerprint {
		return reply{}, keyReused(key)
	}
	return reply{body: m.body, replayed: !slices.Contains(made, m.id)}, nil
}

func keyReused(key string) error {
	return errs.New(errs.IdempotencyKeyReused, "the idempotency key %q was used before with another request", key)
}

// undo is one step of a rollback: it restores an account or does something else.
type undo struct {
	account *account
	state   accountState
	other   func()
}

// mark is a point to which the book can be rolled back.
type mark struct{ transactions, entries, events, newHolds, newAnswers, undo int }

func (b *book) mark() mark {
	return mark{len(b.transactions), len(b.entries), len(b.events), len(b.newHolds), len(b.newAnswers), len(b.undo)}
}

// rollback takes back everything since the mark.
func (b *book) rollback(to mark) {
	for i := len(b.undo) - 1; i >= to.undo; i-- {
		if step := b.undo[i]; step.other != nil {
			step.other()
		} else {
			step.account.accountState = step.state
		}
	}
	b.transactions, b.entries, b.events = b.transactions[:to.transactions], b.entries[:to.entries], b.events[:to.events]
	b.newHolds, b.newAnswers, b.undo = b.newHolds[:to.newHolds], b.newAnswers[:to.newAnswers], b.undo[:to.undo]
}

// onRollback registers a step that undoes what the caller is about to do.
func (b *book) onRollback(step func()) { b.undo = append(b.undo, undo{other: step}) }

// claimKey makes the key stand for a movement of this batch.
func (b *book) claimKey(key movementKey, m *movement) {
	b.movements[key] = m
	b.onRollback(func() { delete(b.movements, key) })
}

// claimReference makes the reference taken.
func (b *book) claimReference(name referenceKey) {
	b.references[name] = struct{}{}
	b.onRollback(func() { delete(b.references, name) })
}

// account returns a locked account, or NotFound, which is also the answer for
// another business's account.
func (b *book) account(business models.BusinessID, id models.AccountID, field string) (*account, error) {
	a := b.accounts[accountKey{business, id}]
	if a == nil {
		return nil, errs.New(errs.NotFound, "%s: there is no account %s", field, id)
	}
	return a, nil
}

// clock returns created_at for a movement on the accounts: the later of now and
// their last entry, so that per account time never runs backwards against the
// sequence.
func (b *book) clock(accounts ...*account) time.Time {
	at := b.now
	for _, a := range accounts {
		if a != nil && a.lastEntryAt.After(at) {
			at = a.lastEntryAt
		}
	}
	return at
}

// enter appends an entry to an account: a signed amount in minor units. The
// caller has judged that the account can bear it.
func (b *book) enter(a *account, transaction models.TransactionID, amount int64, at time.Time) models.Entry {
	b.remember(a)
	a.balance += amount
	a.version++
	a.lastEntryAt = at
	entry := models.Entry{
		BusinessID: a.business, AccountID: a.id, Sequence: a.version,
		TransactionID: transaction, Amount: amount, BalanceAfter: a.balance, CreatedAt: at,
	}
	b.entries = append(b.entries, entry)
	return entry
}

// remember saves the account's state for a rollback and lists it for writing.
func (b *book) remember(a *account) {
	b.undo = append(b.undo, undo{account: a, state: a.accountState})
	if !a.touched {
		a.touched = true
		b.touched = append(b.touched, a)
	}
}

// emit adds an event about an object.
func (b *book) emit(business models.BusinessID, kind models.EventType, at time.Time, object *rendering) {
	b.events = append(b.events, event{business, kind, at, object, b.trace})
}

// writes reports whether the batch has anything to write. Whatever was changed
// and rolled back is written as it was, which changes nothing.
func (b *book) writes() bool {
	return len(b.events) > 0 || len(b.newAnswers) > 0
}
