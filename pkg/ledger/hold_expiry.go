package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// maxExpiredAtOnce bounds how many overdue holds one batch expires, in equal
// shares for its accounts: the holds of one must not keep a neighbour's from
// expiring. What is beyond stays held until the next touch, which errs on the
// safe side.
const maxExpiredAtOnce = 5000

const overdueSQL = `SELECT ` + holdColumns + `
FROM unnest($1::uuid[], $2::uuid[]) AS k (business_id, id)
CROSS JOIN LATERAL (SELECT * FROM holds
    WHERE business_id = k.business_id AND account_id = k.id AND status = 'pending' AND expires_at <= $3
    ORDER BY expires_at LIMIT $4) h`

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
	rows, err := conn.Query(ctx, overdueSQL, businesses, accounts, b.now, maxExpiredAtOnce/len(accounts))
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
		b.emitHold(models.EventHoldExpired, h)
	}
	return nil
}

// touch is an operation that does nothing but lock an account: whatever is
// overdue on it expires.
type touch struct{ account accountKey }

func (t touch) needs(n *needs) { n.accounts = append(n.accounts, t.account) }

func (touch) apply(*book) (reply, error) { return reply{}, nil }

// Touch expires the overdue holds of one account, with their events. It locks
// the account. Coded errors: Unavailable.
func (l *Ledger) Touch(ctx context.Context, business models.BusinessID, id models.AccountID) error {
	_, err := l.submit(ctx, "ledger.touch", business, 1, touch{accountKey{business, id}})
	return err
}

// dueSQL reads overdue holds from a place in their order on.
const dueSQL = `SELECT business_id, account_id, id, expires_at FROM holds
WHERE status = 'pending' AND expires_at >= $1 AND expires_at <= now() AND (expires_at, business_id, id) > ($1, $2, $3)
ORDER BY expires_at, business_id, id LIMIT $4`

// touchesAtOnce is how many accounts a sweep touches at a time, so that they
// share commits.
const touchesAtOnce = 64

// due is an overdue hold.
type due struct {
	account accountKey
	id      models.HoldID
	at      time.Time
}

// ExpireHolds expires overdue holds, oldest first, a page of them after the
// other, and returns how many accounts it touched for it. An account that cannot
// be locked is left to the next time and keeps nobody else's holds from expiring.
// It needs nothing but PostgreSQL and may run in any number of processes at
// once. Coded errors: Unavailable, the first of those met.
func (l *Ledger) ExpireHolds(ctx context.Context, page int) (touched int, err error) {
	var last due
	for {
		holds, readErr := l.dueAfter(ctx, last, page)
		if readErr != nil {
			return touched, readErr
		}
		n, touchErr := l.touchAll(ctx, holds)
		touched += n
		if err == nil {
			err = touchErr
		}
		if len(holds) < page || ctx.Err() != nil {
			return touched, err
		}
		last = holds[len(holds)-1]
	}
}

func (l *Ledger) dueAfter(ctx context.Context, last due, page int) ([]due, error) {
	rows, err := l.db.Pool.Query(ctx, dueSQL, last.at, uuidOf(last.account.business), uuidOf(last.id), page)
	if err != nil {
		return nil, database.Coded(err)
	}
	holds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h due, err error) {
		err = row.Scan(&h.account.business, &h.account.id, &h.id, &h.at)
		return h, err
	})
	return holds, database.Coded(err)
}

// touchAll touches the accounts of the holds, and returns how many it could and
// the first error.
func (l *Ledger) touchAll(ctx context.Context, holds []due) (touched int, err error) {
	accounts := make(map[accountKey]struct{}, len(holds))
	for _, h := range holds {
		accounts[h.account] = struct{}{}
	}
	var group errgroup.Group
	group.SetLimit(touchesAtOnce)
	var done atomic.Int64
	for account := range accounts {
		group.Go(func() error {
			err := l.Touch(ctx, account.business, account.id)
			if err == nil {
				done.Add(1)
			}
			return err
		})
	}
	err = group.Wait()
	return int(done.Load()), err
}
