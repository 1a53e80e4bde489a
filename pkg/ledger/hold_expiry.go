package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// maxExpiredAtOnce bounds how many overdue holds one batch expires. The rest
// stay held until the next touch, which errs on the safe side.
const maxExpiredAtOnce = 1000

const overdueSQL = `SELECT ` + holdColumns + `
FROM unnest($1::uuid[], $2::uuid[]) AS k (business_id, id)
JOIN holds h ON h.business_id = k.business_id AND h.account_id = k.id
WHERE h.status = 'pending' AND h.expires_at <= $3 LIMIT $4`

// expireOverdue expires the overdue holds of the locked accounts, with their
// events, before any operation is judged.
func (b *book) expireOverdue(ctx context.Context, conn *pgxpool.Conn) error {
	var businesses []models.BusinessID
	var accounts []models.AccountID
	for key, a := range b.accounts {
		if a.held > 0 {
			businesses, accounts = append(businesses, key.business), append(accounts, key.id)
		}
	}
	if len(accounts) == 0 {
		return nil
	}
	rows, err := conn.Query(ctx, overdueSQL, businesses, accounts, b.now, maxExpiredAtOnce)
	if err != nil {
		return fmt.Errorf("looking for overdue holds: %w", err)
	}
	overdue, err := pgx.CollectRows(rows, scanHold)
	if err != nil {
		return fmt.Errorf("looking for overdue holds: %w", err)
	}
	slices.SortFunc(overdue, func(x, y *hold) int { return x.ExpiresAt.Compare(*y.ExpiresAt) })
	for _, h := range overdue {
		if known := b.holds[h.key()]; known != nil {
			h = known
		}
		source := b.accounts[accountKey{h.BusinessID, h.AccountID}]
		b.settle(h, source, h.CapturedAmount, models.HoldExpired)
		b.holds[h.key()] = h
		if _, err := b.emitHold(models.EventHoldExpired, h); err != nil {
			return err
		}
	}
	return nil
}

// touch is an operation that does nothing but lock an account: whatever is
// overdue on it expires.
type touch struct{ account accountKey }

func (t touch) needs(n *needs) { n.accounts = append(n.accounts, t.account) }

func (touch) apply(*book) (Result, error) { return Result{}, nil }

// Touch expires the overdue holds of one account, with their events. It locks
// the account. Coded errors: Unavailable.
func (l *Ledger) Touch(ctx context.Context, business models.BusinessID, id models.AccountID) error {
	_, err := l.submit(ctx, business, 1, touch{accountKey{business, id}})
	return err
}

const dueSQL = `SELECT business_id, account_id FROM holds
WHERE status = 'pending' AND expires_at IS NOT NULL AND expires_at <= now()
ORDER BY expires_at LIMIT $1`

// ExpireHolds expires overdue holds, oldest first, on up to limit of them, and
// returns on how many accounts it did. It needs nothing but PostgreSQL and may
// run in any number of processes at once. Coded errors: Unavailable.
func (l *Ledger) ExpireHolds(ctx context.Context, limit int) (int, error) {
	rows, err := l.db.Pool.Query(ctx, dueSQL, limit)
	if err != nil {
		return 0, database.Coded(err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (key accountKey, err error) {
		err = row.Scan(&key.business, &key.id)
		return key, err
	})
	if err != nil {
		return 0, database.Coded(err)
	}
	seen := make(map[accountKey]bool, len(due))
	for _, key := range due {
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := l.Touch(ctx, key.business, key.id); err != nil {
			return len(seen) - 1, err
		}
	}
	return len(seen), nil
}
