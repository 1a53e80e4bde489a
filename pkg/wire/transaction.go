package wire

import "github.com/txn-service/txn/pkg/models"

// Transaction is one movement with its entries.
type Transaction struct {
	ID                    models.TransactionID   `json:"id"`
	Type                  models.TransactionType `json:"type"`
	Amount                int64                  `json:"amount"`
	Currency              string                 `json:"currency"`
	SourceAccountID       *models.AccountID      `json:"source_account_id"`
	DestinationAccountID  *models.AccountID      `json:"destination_account_id"`
	Description           *string                `json:"description"`
	Reference             *string                `json:"reference"`
	Metadata              map[string]string      `json:"metadata"`
	IdempotencyKey        string                 `json:"idempotency_key"`
	ReversesTransactionID *models.TransactionID  `json:"reverses_transaction_id"`
	// ReversedAmount is how much of it has been reversed, in minor units.
	ReversedAmount int64          `json:"reversed_amount"`
	HoldID         *models.HoldID `json:"hold_id"`
	EffectiveAt    *Time          `json:"effective_at"`
	CreatedAt      Time           `json:"created_at"`
	Entries        []Entry        `json:"entries"`
}

// Entry is one side of a transaction.
type Entry struct {
	AccountID    models.AccountID `json:"account_id"`
	Sequence     int64            `json:"sequence"`
	Amount       int64            `json:"amount"`
	BalanceAfter int64            `json:"balance_after"`
}

// NewTransaction converts a row with its entries, the source's first.
func NewTransaction(t *models.Transaction, entries []models.Entry, reversed int64) Transaction {
	sides := make([]Entry, len(entries))
	for i, e := range entries {
		sides[i] = Entry{AccountID: e.AccountID, Sequence: e.Sequence, Amount: e.Amount, BalanceAfter: e.BalanceAfter}
	}
	return Transaction{
		ID: t.ID, Type: t.Type, Amount: t.Amount, Currency: t.Currency,
		SourceAccountID: t.SourceAccountID, DestinationAccountID: t.DestinationAccountID,
		Description: t.Description, Reference: t.Reference, Metadata: metadata(t.Metadata),
		IdempotencyKey: t.IdempotencyKey, ReversesTransactionID: t.ReversesTransactionID, ReversedAmount: reversed,
		HoldID: t.HoldID, EffectiveAt: timeOrNil(t.EffectiveAt), CreatedAt: Time(t.CreatedAt), Entries: sides,
	}
}

// StatementEntry is one line of an account's statement.
type StatementEntry struct {
	AccountID     models.AccountID     `json:"account_id"`
	Sequence      int64                `json:"sequence"`
	TransactionID models.TransactionID `json:"transaction_id"`
	Amount        int64                `json:"amount"`
	BalanceAfter  int64                `json:"balance_after"`
	CreatedAt     Time                 `json:"created_at"`
}

// NewStatementEntry converts a row.
func NewStatementEntry(e models.Entry) StatementEntry {
	return StatementEntry{
		AccountID: e.AccountID, Sequence: e.Sequence, TransactionID: e.TransactionID, Amount: e.Amount,
		BalanceAfter: e.BalanceAfter, CreatedAt: Time(e.CreatedAt),
	}
}
