package models

import "time"

// AccountStatus says whether money may move on an account.
type AccountStatus string

// The states of an account. A closed account stays readable for ever.
const (
	AccountActive AccountStatus = "active"
	AccountFrozen AccountStatus = "frozen"
	AccountClosed AccountStatus = "closed"
)

// Account holds money of one business in one currency. Balance, Held, Version
// and LastEntryAt change only in pkg/ledger, under the row's FOR UPDATE lock.
type Account struct {
	BusinessID BusinessID `gorm:"primaryKey"`
	ID         AccountID  `gorm:"primaryKey"`
	Name       string
	// Reference is the tenant's own id for the account, unique per business.
	Reference *string
	Currency  string
	Status    AccountStatus
	// Balance is the sum of the account's entries, in minor units.
	Balance int64
	// Held is the sum of what is left on its pending holds, in minor units.
	Held int64
	// OverdraftLimit is how far Balance − Held may fall below zero, in minor
	// units; nil means without limit.
	OverdraftLimit *int64
	// Version is the sequence of the last entry; 0 before the first.
	Version     int64
	LastEntryAt *time.Time
	Metadata    Metadata
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// TableName names the table for GORM.
func (Account) TableName() string { return "business_accounts" }

// Available is what a debit may use before the overdraft limit, in minor units.
func (a *Account) Available() int64 { return a.Balance - a.Held }
