package ledger

import (
	"context"

	"github.com/txn-service/txn/pkg/models"
)

// scopeVoid is the scope of a void's idempotency key.
const scopeVoid models.IdempotencyScope = "hold.void"

// Void gives what is left of a hold back.
type Void struct {
	Hold           models.HoldID
	IdempotencyKey string
}

// Void ends a hold, with the event hold.voided, and returns it as the API shows
// it. What had been captured stays captured. It locks the hold's account.
//
// Coded errors: NotFound, InvalidState (the hold is not pending, or overdue),
// IdempotencyKeyReused, Unavailable.
func (l *Ledger) Void(ctx context.Context, business models.BusinessID, in Void) (Result, error) {
	h, err := l.Hold(ctx, business, in.Hold)
	if err != nil {
		return Result{}, err
	}
	f := newCanonical("void")
	f.bytes(in.Hold[:])
	return l.submit(ctx, "ledger.void", business, 1, &voiding{Void: in, business: business, accounts: accountsOf(h), fingerprint: f.sum()})
}

// voiding is a Void in the queue.
type voiding struct {
	Void
	business    models.BusinessID
	accounts    holdAccounts
	fingerprint [32]byte
	// applied says that an earlier run stored the answer: when its COMMIT was cut
	// off, what is found is ours.
	applied bool
}

func (v *voiding) key() answerKey { return answerKey{v.business, scopeVoid, v.IdempotencyKey} }

func (v *voiding) needs(n *needs) {
	v.accounts.needs(n, v.business)
	n.holds = append(n.holds, holdKey{v.business, v.Hold})
	n.answers = append(n.answers, v.key())
}

func (v *voiding) apply(b *book) (reply, error) {
	if known := b.answers[v.key()]; known != nil {
		return known.replay(v.fingerprint, v.applied)
	}
	h, source, _, err := b.pendingHold(v.business, v.Hold)
	if err != nil {
		return reply{}, err
	}
	b.settle(h, source, h.CapturedAmount, models.HoldVoided)
	body := b.emitHold(models.EventHoldVoided, h)
	b.addAnswer(&storedAnswer{answerKey: v.key(), fingerprint: v.fingerprint, status: 200, body: body})
	v.applied = true
	return reply{body: body}, nil
}
