package models

import "github.com/txn-service/txn/pkg/errs"

// MaxAmount bounds amounts and balances on both sides of zero, in minor units:
// 2^53 − 1, the largest integer that every JSON reader keeps exact
// (RFC 8259 §6).
const MaxAmount int64 = 1<<53 - 1

// CheckAmount returns a ValidationFailed unless 1 ≤ amount ≤ MaxAmount.
func CheckAmount(v *errs.Validation, field string, amount int64) {
	switch {
	case amount <= 0:
		v.Add(field, "must be greater than zero")
	case amount > MaxAmount:
		v.Add(field, "must be at most %d", MaxAmount)
	}
}
