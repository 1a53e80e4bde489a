package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

const entryColumns = `business_id, account_id, sequence, transaction_id, amount, balance_after, created_at`

// Entries returns a page of an account's statement, newest first: up to limit
// entries below the sequence (exclusive; 0 to start). Coded errors: NotFound
// (the account), Unavailable.
func (l *Ledger) Entries(ctx context.Context, business models.BusinessID, id models.AccountID, below int64, limit int) ([]models.Entry, error) {
	if _, err := l.Account(ctx, business, id); err != nil {
		return nil, err
	}
	q := newQuery(business)
	sql := `SELECT ` + entryColumns + ` FROM entries WHERE business_id = $1 AND account_id = ` + q.arg(id)
	if below > 0 {
		sql += ` AND sequence < ` + q.arg(below)
	}
	rows, err := l.db.Pool.Query(ctx, sql+` ORDER BY sequence DESC LIMIT `+q.arg(limit), q.args...)
	if err != nil {
		return nil, database.Coded(err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[models.Entry])
	return entries, database.Coded(err)
}

// BalanceAt returns an account's balance, in minor units, as its last entry at
// or before the moment left it: 0 before the first. Coded errors: NotFound (the
// account), Unavailable.
func (l *Ledger) BalanceAt(ctx context.Context, business models.BusinessID, id models.AccountID, at time.Time) (int64, error) {
	var balance int64
	err := l.db.Pool.QueryRow(ctx, `SELECT coalesce(e.balance_after, 0) FROM business_accounts a
		LEFT JOIN entries e ON e.business_id = a.business_id AND e.account_id = a.id
			AND e.sequence = entry_sequence_at(a.business_id, a.id, $3)
		WHERE a.business_id = $1 AND a.id = $2`, business, id, at).Scan(&balance)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, errs.Wrap(err, errs.NotFound, "there is no account %s", id)
	}
	return balance, database.Coded(err)
}
