package wire

import "github.com/txn-service/txn/pkg/models"

// Account is an account with its balances in minor units.
type Account struct {
	ID               models.AccountID     `json:"id"`
	Name             string               `json:"name"`
	Reference        *string              `json:"reference"`
	Currency         string               `json:"currency"`
	CurrencyExponent int                  `json:"currency_exponent"`
	Status           models.AccountStatus `json:"status"`
	Balance          int64                `json:"balance"`
	Held             int64                `json:"held"`
	Available        int64                `json:"available"`
	// OverdraftLimit is null when there is no limit.
	OverdraftLimit *int64            `json:"overdraft_limit"`
	Version        int64             `json:"version"`
	Metadata       map[string]string `json:"metadata"`
	CreatedAt      Time              `json:"created_at"`
	UpdatedAt      Time              `json:"updated_at"`
}

// NewAccount converts a row.
func NewAccount(a models.Account) Account {
	exponent, _ := models.CurrencyExponent(a.Currency)
	return Account{
		ID: a.ID, Name: a.Name, Reference: a.Reference, Currency: a.Currency, CurrencyExponent: exponent,
		Status: a.Status, Balance: a.Balance, Held: a.Held, Available: a.Available(),
		OverdraftLimit: a.OverdraftLimit, Version: a.Version, Metadata: metadata(a.Metadata),
		CreatedAt: Time(a.CreatedAt), UpdatedAt: Time(a.UpdatedAt),
	}
}
