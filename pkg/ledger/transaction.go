package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// Transaction returns one movement with its entries and how much of it has been
// reversed. Coded errors: NotFound, Unavailable.
func (l *Ledger) Transaction(ctx context.Context, business models.BusinessID, id models.TransactionID) (wire.Transaction, error) {
	row, err := l.transactionRow(ctx, business, id)
	if err != nil {
		return wire.Transaction{}, err
	}
	return row.view(), nil
}

// transactionRow reads a transaction with its entries. Coded errors: NotFound,
// Unavailable.
func (l *Ledger) transactionRow(ctx context.Context, business models.BusinessID, id models.TransactionID) (transactionRow, error) {
	sql := `SELECT ` + transactionColumns + ` FROM transactions t` + transactionJoins + ` WHERE t.business_id = $1 AND t.id = $2`
	rows, err := l.db.Pool.Query(ctx, sql, business, id)
	if err != nil {
		return transactionRow{}, database.Coded(err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (transactionRow, error) { return scanTransaction(row) })
	if errors.Is(err, pgx.ErrNoRows) {
		return transactionRow{}, errs.Wrap(err, errs.NotFound, "there is no transaction %s", id)
	}
	return row, database.Coded(err)
}

// TransactionFilter narrows a list of transactions; empty fields do not.
type TransactionFilter struct {
	// Account matches either side.
	Account        models.AccountID
	Type           models.TransactionType
	Reference      string
	IdempotencyKey string
	// Reverses is the transaction that they reverse, Hold the hold that they
	// captured.
	Reverses models.TransactionID
	Hold     models.HoldID
	// CreatedAfter and CreatedBefore are exclusive; nil does not narrow.
	CreatedAfter, CreatedBefore *time.Time
	// Metadata must contain all these pairs.
	Metadata models.Metadata
}

// scopes lists every idempotency scope, so that a look-up by key alone can use
// the unique index, which has the scope in the middle.
var scopes = []string{
	string(models.ScopePost), string(models.ScopeCapture), string(models.ScopeReverse),
	string(models.ScopeBatch), string(models.ScopeBatchItem),
}

// Transactions lists movements, newest first: up to limit of them after the id
// (exclusive; zero to start). Whatever the filter, the list walks an index in
// its own order: the account's entries, one metadata pair, or the primary key.
// Coded errors: Unavailable.
func (l *Ledger) Transactions(ctx context.Context, business models.BusinessID, filter TransactionFilter, after models.TransactionID, limit int) ([]wire.Transaction, error) {
	sql, args := filter.list(business, after, limit)
	return listTransactions(ctx, l.db, sql, args)
}

// list is the statement of a page.
func (f TransactionFilter) list(business models.BusinessID, after models.TransactionID, limit int) (sql string, args []any) {
	q := newQuery(business)
	from, order := f.walk(q, after)
	f.narrow(q)
	sql = `SELECT ` + transactionColumns + ` FROM ` + from + transactionJoins +
		` WHERE ` + q.all() + ` ORDER BY ` + order + ` DESC LIMIT ` + q.arg(limit)
	return sql, q.args
}

func listTransactions(ctx context.Context, db *database.DB, sql string, args []any) ([]wire.Transaction, error) {
	rows, err := db.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, database.Coded(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (wire.Transaction, error) {
		t, err := scanTransaction(row)
		return t.view(), err
	})
	return list, database.Coded(err)
}

// walk chooses the table and index that the list follows, and where it starts.
func (f TransactionFilter) walk(q *query, after models.TransactionID) (from, order string) {
	if !f.Account.IsZero() {
		account := q.arg(f.Account)
		q.where("e.business_id = $1")
		q.where("e.account_id = " + account)
		// The argument and not e.account_id: only what does not depend on the row is
		// looked up once, and where the walk begins and ends.
		if f.CreatedBefore != nil {
			q.where("e.sequence <= entry_sequence_at($1, "+account+", %s)", lastBefore(*f.CreatedBefore))
		}
		if f.CreatedAfter != nil {
			q.where("e.sequence > entry_sequence_at($1, "+account+", %s)", *f.CreatedAfter)
		}
		if !after.IsZero() {
			q.where(`e.sequence < (SELECT CASE WHEN c.source_account_id = e.account_id THEN c.source_sequence ELSE c.destination_sequence END
				FROM transactions c WHERE c.business_id = $1 AND c.id = %s)`, after)
		}
		return `entries e JOIN transactions t ON t.business_id = e.business_id AND t.id = e.transaction_id`, "e.sequence"
	}
	column := "t.id"
	from = "transactions t"
	for key, value := range f.Metadata {
		q.where("m.business_id = $1")
		q.where("m.key = %s", key)
		q.where("m.value = %s", value)
		column = "m.transaction_id"
		from = `transaction_metadata m JOIN transactions t ON t.business_id = m.business_id AND t.id = m.transaction_id`
		break // one pair leads; narrow checks them all
	}
	if !after.IsZero() {
		q.where(column+" < %s", after)
	}
	// Ids embed created_at to the microsecond.
	if f.CreatedBefore != nil {
		q.where(column+" < %s", models.FirstIDAt[models.TransactionPrefix](lastBefore(*f.CreatedBefore).Add(time.Microsecond)))
	}
	if f.CreatedAfter != nil {
		q.where(column+" >= %s", models.FirstIDAt[models.TransactionPrefix](f.CreatedAfter.Add(time.Microsecond)))
	}
	return from, column
}

// lastBefore is the last microsecond, which is what created_at counts in, that
// lies before the moment.
func lastBefore(moment time.Time) time.Time {
	return moment.Add(-time.Nanosecond).Truncate(time.Microsecond)
}

// narrow adds what the walk does not say already.
func (f TransactionFilter) narrow(q *query) {
	q.where("t.business_id = $1")
	if f.Type != "" {
		q.where("t.type = %s", string(f.Type))
	}
	if f.Reference != "" {
		q.where("t.reference = %s", f.Reference)
	}
	if !f.Reverses.IsZero() {
		q.where("t.reverses_transaction_id = %s", f.Reverses)
	}
	if !f.Hold.IsZero() {
		q.where("t.hold_id = %s", f.Hold)
	}
	if f.IdempotencyKey != "" {
		q.where("t.idempotency_key = %s", f.IdempotencyKey)
		q.where("t.idempotency_scope = ANY (%s)", scopes)
	}
	if len(f.Metadata) > 0 {
		q.where("t.metadata @> %s::jsonb", f.Metadata)
	}
}
