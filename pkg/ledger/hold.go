package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// NewHold is money to set aside.
type NewHold struct {
	Account models.AccountID
	// Destination is where captures go; zero means out of the ledger.
	Destination models.AccountID
	// Amount is in minor units of the account's currency.
	Amount int64
	// Currency may be empty: the account's is used.
	Currency    string
	Description *string
	Metadata    models.Metadata
	// ExpiresAt is when what is left goes back; nil means never.
	ExpiresAt      *time.Time
	IdempotencyKey string
}

// CreateHold sets money of an account aside, with the event hold.created, and
// returns the hold as the API shows it. It locks the account and the
// destination.
//
// Coded errors: ValidationFailed, NotFound (an account), CurrencyMismatch,
// AccountNotActive, InsufficientFunds, LimitExceeded, IdempotencyKeyReused,
// Unavailable.
func (l *Ledger) CreateHold(ctx context.Context, business models.BusinessID, in NewHold) (Result, error) {
	if err := in.validate(); err != nil {
		return Result{}, err
	}
	return l.submit(ctx, "ledger.hold", business, 1, &holding{NewHold: in, business: business, fingerprint: in.fingerprint()})
}

func (h *NewHold) validate() error {
	var v errs.Validation
	v.Check(!h.Account.IsZero(), "account_id", "is required")
	v.Check(h.Account != h.Destination, "destination_account_id", "must differ from account_id")
	models.CheckAmount(&v, "amount", h.Amount)
	if h.Currency != "" {
		_, known := models.CurrencyExponent(h.Currency)
		v.Check(known, "currency", "must be an ISO 4217 code")
	}
	checkOptional(&v, "description", h.Description, models.MaxDescription)
	h.Metadata.Check(&v, "metadata")
	return v.Err()
}

func (h *NewHold) fingerprint() [32]byte {
	f := newCanonical("hold")
	f.bytes(h.Account[:])
	f.bytes(h.Destination[:])
	f.number(h.Amount)
	f.text(h.Currency)
	f.optionalText(h.Description)
	f.metadata(h.Metadata)
	f.optionalTime(h.ExpiresAt)
	return f.sum()
}

// holding is a NewHold in the queue.
type holding struct {
	NewHold
	business    models.BusinessID
	fingerprint [32]byte
	// made lists the ids that earlier runs gave the hold; see posting.
	made []models.HoldID
}

func (h *holding) needs(n *needs) {
	n.accounts = append(n.accounts, accountKey{h.business, h.Account})
	if !h.Destination.IsZero() {
		n.accounts = append(n.accounts, accountKey{h.business, h.Destination})
	}
	n.holdNames = append(n.holdNames, holdName{h.business, h.IdempotencyKey})
}

func (h *holding) apply(b *book) (reply, error) {
	name := holdName{h.business, h.IdempotencyKey}
	if known := b.holdNames[name]; known != nil {
		return known.replay(h.fingerprint, h.made)
	}
	source, err := h.judge(b)
	if err != nil {
		return reply{}, err
	}
	row := models.Hold{
		BusinessID: h.business, ID: models.NewIDAt[models.HoldPrefix](b.now), AccountID: h.Account,
		Amount: h.Amount, Currency: source.currency, Status: models.HoldPending,
		Description: h.Description, Metadata: h.Metadata, IdempotencyKey: h.IdempotencyKey, Fingerprint: h.fingerprint[:],
		ExpiresAt: h.ExpiresAt, CreatedAt: b.now, UpdatedAt: b.now,
	}
	if !h.Destination.IsZero() {
		row.DestinationAccountID = &h.Destination
	}
	made := &hold{Hold: row, created: true}
	b.addHold(made)
	b.remember(source)
	source.held += h.Amount
	h.made = append(h.made, row.ID)
	return reply{body: b.emitHold(models.EventHoldCreated, made)}, nil
}

func (h *holding) judge(b *book) (*account, error) {
	source, err := b.account(h.business, h.Account, "account_id")
	if err != nil {
		return nil, err
	}
	var destination *account
	if !h.Destination.IsZero() {
		if destination, err = b.account(h.business, h.Destination, "destination_account_id"); err != nil {
			return nil, err
		}
	}
	if h.ExpiresAt != nil && !h.ExpiresAt.After(b.now) {
		return nil, errs.Invalid("expires_at", "must be in the future")
	}
	return source, judgeMovement(source, destination, h.Amount, h.Currency, Conditions{})
}

// hold is a row under its account's lock.
type hold struct {
	models.Hold
	// created says that this batch inserts it, changed that it is to be updated.
	created, changed bool
}

func (h *hold) key() holdKey { return holdKey{h.BusinessID, h.ID} }

// left is what has neither been captured nor given back, in minor units.
func (h *hold) left() int64 {
	if h.Status != models.HoldPending {
		return 0
	}
	return h.Amount - h.CapturedAmount
}

// overdue reports whether the hold should have expired by the moment.
func (h *hold) overdue(at time.Time) bool { return h.ExpiresAt != nil && !h.ExpiresAt.After(at) }

// replay answers the creation of a hold again as it was answered first.
func (h *hold) replay(fingerprint [32]byte, made []models.HoldID) (reply, error) {
	if string(h.Fingerprint) != string(fingerprint[:]) {
		return reply{}, keyReused(h.IdempotencyKey)
	}
	first := h.Hold
	first.CapturedAmount, first.Status, first.UpdatedAt = 0, models.HoldPending, first.CreatedAt
	return reply{body: rendered(wire.NewHold(first)), replayed: !slices.Contains(made, h.ID)}, nil
}

// addHold records a new hold.
func (b *book) addHold(h *hold) {
	name := holdName{h.BusinessID, h.IdempotencyKey}
	b.holds[h.key()], b.holdNames[name] = h, h
	b.newHolds = append(b.newHolds, h)
	b.onRollback(func() {
		delete(b.holds, h.key())
		delete(b.holdNames, name)
	})
}

// settle changes a hold: what it has captured by now, and its status. When it is
// no longer pending, what was left is available again.
func (b *book) settle(h *hold, source *account, captured int64, status models.HoldStatus) {
	before := h.Hold
	b.onRollback(func() { h.Hold = before })
	b.remember(source)
	left := h.left()
	h.CapturedAmount, h.Status, h.UpdatedAt = captured, status, b.now
	source.held -= left - h.left()
	if !h.created && !h.changed {
		h.changed = true
		b.oldHolds = append(b.oldHolds, h)
	}
}

// emitHold adds an event about a hold as it is now, and returns its rendering.
func (b *book) emitHold(kind models.EventType, h *hold) *rendering {
	body := rendered(wire.NewHold(h.Hold))
	b.emit(h.BusinessID, kind, b.now, body)
	return body
}
