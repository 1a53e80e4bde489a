package ledger

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// transactionColumns and transactionJoins select transactions t with the
// balances that their entries left and how much of them has been reversed. The
// entries are found by their primary key, so the joins cost an index look-up
// each and nothing for rows that are not there.
const (
	transactionColumns = `t.business_id, t.id, t.type, t.source_account_id, t.destination_account_id,
    t.source_sequence, t.destination_sequence, t.amount, t.currency, t.description, t.reference, t.metadata,
    t.idempotency_key, t.fingerprint, t.reverses_transaction_id, t.hold_id, t.effective_at, t.created_at,
    s.balance_after, d.balance_after, coalesce(r.reversed, 0)`

	transactionJoins = `
    LEFT JOIN entries s ON s.business_id = t.business_id AND s.account_id = t.source_account_id AND s.sequence = t.source_sequence
    LEFT JOIN entries d ON d.business_id = t.business_id AND d.account_id = t.destination_account_id AND d.sequence = t.destination_sequence
    LEFT JOIN reversals r ON r.business_id = t.business_id AND r.transaction_id = t.id`
)

// transactionRow is a transaction with what its answer shows besides.
type transactionRow struct {
	models.Transaction
	entries  []models.Entry
	reversed int64
}

// scanTransaction reads transactionColumns, after any leading columns of the
// caller's.
func scanTransaction(row pgx.CollectableRow, leading ...any) (transactionRow, error) {
	var t transactionRow
	var sourceAfter, destinationAfter *int64
	err := row.Scan(append(leading,
		&t.BusinessID, &t.ID, &t.Type, &t.SourceAccountID, &t.DestinationAccountID,
		&t.SourceSequence, &t.DestinationSequence, &t.Amount, &t.Currency, &t.Description, &t.Reference, &t.Metadata,
		&t.IdempotencyKey, &t.Fingerprint, &t.ReversesTransactionID, &t.HoldID, &t.EffectiveAt, &t.CreatedAt,
		&sourceAfter, &destinationAfter, &t.reversed)...)
	if err != nil {
		return t, fmt.Errorf("reading a transaction: %w", err)
	}
	t.addEntry(t.SourceAccountID, t.SourceSequence, -t.Amount, sourceAfter)
	t.addEntry(t.DestinationAccountID, t.DestinationSequence, t.Amount, destinationAfter)
	return t, nil
}

func (t *transactionRow) addEntry(id *models.AccountID, sequence *int64, amount int64, after *int64) {
	if id == nil || sequence == nil || after == nil {
		return
	}
	t.entries = append(t.entries, models.Entry{
		BusinessID: t.BusinessID, AccountID: *id, Sequence: *sequence, TransactionID: t.ID,
		Amount: amount, BalanceAfter: *after, CreatedAt: t.CreatedAt,
	})
}

// view is the transaction as the API shows it now.
func (t *transactionRow) view() wire.Transaction {
	return wire.NewTransaction(&t.Transaction, t.entries, t.reversed)
}

// firstView is the transaction as its first answer showed it: a replay is the
// same even when the transaction has been reversed since.
func (t *transactionRow) firstView() wire.Transaction {
	return wire.NewTransaction(&t.Transaction, t.entries, 0)
}
