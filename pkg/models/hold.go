package models

import "time"

// HoldStatus is where a hold is in its life; all but pending are final.
type HoldStatus string

// The states of a hold.
const (
	HoldPending  HoldStatus = "pending"
	HoldCaptured HoldStatus = "captured"
	HoldVoided   HoldStatus = "voided"
	HoldExpired  HoldStatus = "expired"
)

// Hold sets money of an account aside until it is captured, voided or expires.
// It changes only under its account's lock.
type Hold struct {
	BusinessID           BusinessID `gorm:"primaryKey"`
	ID                   HoldID     `gorm:"primaryKey"`
	AccountID            AccountID
	DestinationAccountID *AccountID
	// Amount is what was set aside, CapturedAmount what has been taken of it, in
	// minor units of Currency.
	Amount         int64
	CapturedAmount int64
	Currency       string
	Status         HoldStatus
	Description    *string
	Metadata       Metadata
	IdempotencyKey string
	Fingerprint    []byte
	ExpiresAt      *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// TableName names the table for GORM.
func (Hold) TableName() string { return "holds" }
