package wire

import (
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// Balance is what an account has now, in minor units.
type Balance struct {
	AccountID        models.AccountID `json:"account_id"`
	Currency         string           `json:"currency"`
	CurrencyExponent int              `json:"currency_exponent"`
	Balance          int64            `json:"balance"`
	Held             int64            `json:"held"`
	Available        int64            `json:"available"`
	Version          int64            `json:"version"`
}

// NewBalance converts a row.
func NewBalance(a models.Account) Balance {
	exponent, _ := models.CurrencyExponent(a.Currency)
	return Balance{
		AccountID: a.ID, Currency: a.Currency, CurrencyExponent: exponent,
		Balance: a.Balance, Held: a.Held, Available: a.Available(), Version: a.Version,
	}
}

// PastBalance is what an account had at a moment, in minor units. What was held
// then is not kept.
type PastBalance struct {
	AccountID        models.AccountID `json:"account_id"`
	Currency         string           `json:"currency"`
	CurrencyExponent int              `json:"currency_exponent"`
	Balance          int64            `json:"balance"`
	At               Time             `json:"at"`
}

// NewPastBalance is the balance of an account at a moment.
func NewPastBalance(a models.Account, balance int64, at time.Time) PastBalance {
	exponent, _ := models.CurrencyExponent(a.Currency)
	return PastBalance{AccountID: a.ID, Currency: a.Currency, CurrencyExponent: exponent, Balance: balance, At: Time(at)}
}
