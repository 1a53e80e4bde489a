package ledger

import (
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// requireActive returns AccountNotActive for a frozen or closed account.
func (a *account) requireActive() error {
	if a.status != models.AccountActive {
		return errs.New(errs.AccountNotActive, "account %s is %s", a.id, a.status)
	}
	return nil
}

// requireCurrency returns CurrencyMismatch when the account keeps another.
func (a *account) requireCurrency(currency string) error {
	if a.currency != currency {
		return errs.New(errs.CurrencyMismatch, "account %s is in %s, not in %s", a.id, a.currency, currency)
	}
	return nil
}

// requireFunds returns InsufficientFunds when taking the amount would break the
// account's overdraft limit (P3), and LimitExceeded when what is available would
// leave ±(2^53 − 1). Held money is not available.
func (a *account) requireFunds(amount int64) error {
	after := a.balance - a.held - amount
	if a.overdraftLimit != nil && after < -*a.overdraftLimit {
		return errs.New(errs.InsufficientFunds, "account %s has %d available and may be overdrawn by %d; %d is needed",
			a.id, a.balance-a.held, *a.overdraftLimit, amount)
	}
	if after < -models.MaxAmount {
		return errs.New(errs.LimitExceeded, "what account %s has available would fall below -%d", a.id, models.MaxAmount)
	}
	return nil
}

// requireRoom returns LimitExceeded when receiving the amount would lift the
// balance above 2^53 − 1.
func (a *account) requireRoom(amount int64) error {
	if a.balance+amount > models.MaxAmount {
		return errs.New(errs.LimitExceeded, "the balance of account %s would rise above %d", a.id, models.MaxAmount)
	}
	return nil
}

// requireReference returns AlreadyExists when another transaction has the
// reference; nil is never taken.
func (b *book) requireReference(business models.BusinessID, reference *string) error {
	if reference == nil {
		return nil
	}
	if _, taken := b.references[referenceKey{business, *reference}]; taken {
		return errs.New(errs.AlreadyExists, "a transaction with the reference %q exists", *reference)
	}
	return nil
}
