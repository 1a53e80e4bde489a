package ledger

import (
	"context"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// Capture takes held money: to the hold's destination, or out of the ledger.
type Capture struct {
	Hold models.HoldID
	// Amount is in minor units; nil takes all that is left.
	Amount *int64
	// Final gives what is left after the capture back.
	Final          bool
	IdempotencyKey string
}

// Capture makes a movement out of held money and returns the transaction as the
// API shows it, with the events transaction.created and hold.captured. It locks
// the hold's account and destination.
//
// Coded errors: ValidationFailed (also beyond what is left), NotFound,
// InvalidState (the hold is not pending, or overdue), AccountNotActive,
// LimitExceeded, IdempotencyKeyReused, Unavailable.
func (l *Ledger) Capture(ctx context.Context, business models.BusinessID, in Capture) (Result, error) {
	if in.Amount != nil {
		var v errs.Validation
		models.CheckAmount(&v, "amount", *in.Amount)
		if err := v.Err(); err != nil {
			return Result{}, err
		}
	}
	// A hold's accounts never change: read without a lock, they say what to lock.
	h, err := l.Hold(ctx, business, in.Hold)
	if err != nil {
		return Result{}, err
	}
	return l.submit(ctx, "ledger.capture", business, 1, &capturing{Capture: in, business: business, accounts: accountsOf(h), fingerprint: in.fingerprint()})
}

// holdAccounts are the accounts that a hold is about.
type holdAccounts struct {
	source      models.AccountID
	destination *models.AccountID
}

func accountsOf(h models.Hold) holdAccounts {
	return holdAccounts{source: h.AccountID, destination: h.DestinationAccountID}
}

func (a holdAccounts) needs(n *needs, business models.BusinessID) {
	n.accounts = append(n.accounts, accountKey{business, a.source})
	if a.destination != nil {
		n.accounts = append(n.accounts, accountKey{business, *a.destination})
	}
}

func (c *Capture) fingerprint() [32]byte {
	f := newCanonical("capture")
	f.bytes(c.Hold[:])
	f.optionalNumber(c.Amount)
	f.present(c.Final)
	return f.sum()
}

// capturing is a Capture in the queue.
type capturing struct {
	Capture
	business    models.BusinessID
	accounts    holdAccounts
	fingerprint [32]byte
	made        []models.TransactionID
}

func (c *capturing) key() movementKey {
	return movementKey{c.business, models.ScopeCapture, c.IdempotencyKey}
}

func (c *capturing) needs(n *needs) {
	c.accounts.needs(n, c.business)
	n.keys = append(n.keys, c.key())
	n.holds = append(n.holds, holdKey{c.business, c.Hold})
}

func (c *capturing) apply(b *book) (reply, error) {
	if known := b.movements[c.key()]; known != nil {
		return known.replay(c.fingerprint, c.IdempotencyKey, c.made)
	}
	h, source, destination, err := b.pendingHold(c.business, c.Hold)
	if err != nil {
		return reply{}, err
	}
	amount, err := c.judge(h, source, destination)
	if err != nil {
		return reply{}, err
	}
	return c.record(b, h, source, destination, amount), nil
}

func (c *capturing) judge(h *hold, source, destination *account) (amount int64, err error) {
	amount = h.left()
	if c.Amount != nil {
		amount = *c.Amount
	}
	if amount > h.left() {
		return 0, errs.Invalid("amount", "hold %s has %d left", h.ID, h.left())
	}
	if err := source.requireActive(); err != nil {
		return 0, err
	}
	if destination == nil {
		return amount, nil
	}
	if err := destination.requireActive(); err != nil {
		return 0, err
	}
	return amount, destination.requireRoom(amount)
}

func (c *capturing) record(b *book, h *hold, source, destination *account, amount int64) reply {
	kind := models.Debit
	if destination != nil {
		kind = models.Transfer
	}
	captured, status := h.CapturedAmount+amount, models.HoldPending
	if c.Final || captured == h.Amount {
		status = models.HoldCaptured
	}
	b.settle(h, source, captured, status)
	at := b.clock(source, destination)
	id, body := b.record(models.Transaction{
		BusinessID: c.business, ID: models.NewIDAt[models.TransactionPrefix](at), Type: kind, Amount: amount,
		Description: h.Description, Metadata: h.Metadata, HoldID: &h.ID,
		IdempotencyScope: models.ScopeCapture, IdempotencyKey: c.IdempotencyKey, Fingerprint: c.fingerprint[:], CreatedAt: at,
	}, source, destination)
	b.emitHold(models.EventHoldCaptured, h)
	b.claimKey(c.key(), &movement{id: id, fingerprint: c.fingerprint, body: body})
	c.made = append(c.made, id)
	return reply{body: body}
}

// pendingHold returns a hold that can be captured or voided, with its locked
// accounts. Coded errors: NotFound, InvalidState.
func (b *book) pendingHold(business models.BusinessID, id models.HoldID) (h *hold, source, destination *account, err error) {
	h = b.holds[holdKey{business, id}]
	if h == nil {
		return nil, nil, nil, errs.New(errs.NotFound, "there is no hold %s", id)
	}
	if h.Status != models.HoldPending || h.overdue(b.now) {
		status := h.Status
		if status == models.HoldPending {
			status = models.HoldExpired
		}
		return nil, nil, nil, errs.New(errs.InvalidState, "hold %s is %s", id, status)
	}
	if source, err = b.account(business, h.AccountID, "account_id"); err != nil {
		return nil, nil, nil, err
	}
	if h.DestinationAccountID != nil {
		destination, err = b.account(business, *h.DestinationAccountID, "destination_account_id")
	}
	return h, source, destination, err
}
