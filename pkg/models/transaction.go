package models

import "time"

// TransactionType says which sides a movement has.
type TransactionType string

// The kinds of movement.
const (
	// Credit brings money into the ledger: only a destination.
	Credit TransactionType = "credit"
	// Debit takes money out of the ledger: only a source.
	Debit TransactionType = "debit"
	// Transfer moves money between two accounts of the same business.
	Transfer TransactionType = "transfer"
)

// IdempotencyScope is the operation within which an idempotency key is unique.
type IdempotencyScope string

// The scopes of movements, which keep their key on the transaction for ever.
const (
	ScopePost    IdempotencyScope = "post"
	ScopeCapture IdempotencyScope = "capture"
	ScopeReverse IdempotencyScope = "reverse"
	// ScopeBatch is for items of a batch that bring a key of their own,
	// ScopeBatchItem for those whose key is derived from the batch's.
	ScopeBatch     IdempotencyScope = "batch"
	ScopeBatchItem IdempotencyScope = "batch_item"
)

// Transaction is one movement of money. It is written once and never changes
// (a trigger refuses), so a mistake is corrected by a reversal.
type Transaction struct {
	BusinessID           BusinessID    `gorm:"primaryKey"`
	ID                   TransactionID `gorm:"primaryKey"`
	Type                 TransactionType
	SourceAccountID      *AccountID
	DestinationAccountID *AccountID
	// SourceSequence and DestinationSequence are the sequences of the entries on
	// either side: with the account they are the entries' primary key.
	SourceSequence      *int64
	DestinationSequence *int64
	// Amount is positive, in minor units of Currency.
	Amount      int64
	Currency    string
	Description *string
	// Reference is the tenant's own id for the movement, unique per business.
	Reference        *string
	Metadata         Metadata
	IdempotencyScope IdempotencyScope
	IdempotencyKey   string
	// Fingerprint is the SHA-256 of the request that the key stands for.
	Fingerprint           []byte
	ReversesTransactionID *TransactionID
	HoldID                *HoldID
	// EffectiveAt is the tenant's information; it never affects balances.
	EffectiveAt *time.Time
	CreatedAt   time.Time
}

// TableName names the table for GORM.
func (Transaction) TableName() string { return "transactions" }
