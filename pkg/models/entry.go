package models

import "time"

// Entry is one line of an account's history: append-only, with a sequence that
// runs 1..n per account without a gap.
type Entry struct {
	BusinessID    BusinessID `gorm:"primaryKey"`
	AccountID     AccountID  `gorm:"primaryKey"`
	Sequence      int64      `gorm:"primaryKey"`
	TransactionID TransactionID
	// Amount is signed, in minor units: negative takes from the account.
	Amount int64
	// BalanceAfter is the account's balance with this entry, in minor units.
	BalanceAfter int64
	// CreatedAt never runs backwards against Sequence.
	CreatedAt time.Time
}

// TableName names the table for GORM.
func (Entry) TableName() string { return "entries" }
