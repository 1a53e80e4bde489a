package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
)

// historySQL reads a slice of accounts, each with its entries in order and
// whether each entry is the side of a transaction that it says it is.
const historySQL = `SELECT a.id, a.balance, a.held, a.overdraft_limit, a.version, a.currency,
    e.sequence, e.amount, e.balance_after, e.created_at, e.transaction_id,
    coalesce(t.currency = a.currency AND (
        (t.source_account_id = e.account_id AND t.source_sequence = e.sequence AND e.amount = -t.amount)
        OR (t.destination_account_id = e.account_id AND t.destination_sequence = e.sequence AND e.amount = t.amount)), false)
FROM (SELECT * FROM business_accounts WHERE business_id = $1 AND id > $2 ORDER BY id LIMIT $3) a
LEFT JOIN entries e ON e.business_id = a.business_id AND e.account_id = a.id
LEFT JOIN transactions t ON t.business_id = e.business_id AND t.id = e.transaction_id
ORDER BY a.id, e.sequence`

// accounts walks the accounts of a business with their whole histories.
func (v *verifier) accounts(ctx context.Context, business models.BusinessID) error {
	var after models.AccountID
	for {
		seen := 0
		h := history{verifier: v, business: business}
		err := v.stepped(ctx, historySQL, []any{business, uuidOf(after), accountsPerStep}, func(rows pgx.Rows) error {
			for rows.Next() {
				started, err := h.read(rows)
				if err != nil {
					return err
				}
				if started {
					seen++
				}
			}
			h.end()
			return rows.Err()
		})
		if err != nil {
			return err
		}
		v.progress.Accounts += int64(seen)
		if err := v.step(ctx); err != nil || seen < accountsPerStep {
			return err
		}
		after = h.account.ID
	}
}

// history follows one account after the other.
type history struct {
	*verifier
	business models.BusinessID
	account  models.Account
	open     bool
	sequence int64
	running  int64
	last     time.Time
}

// read takes one row of historySQL and reports whether it begins an account.
func (h *history) read(rows pgx.Rows) (started bool, err error) {
	var a models.Account
	var sequence, amount, after *int64
	var at *time.Time
	var transaction *models.TransactionID
	var belongs bool
	if err := rows.Scan(&a.ID, &a.Balance, &a.Held, &a.OverdraftLimit, &a.Version, &a.Currency,
		&sequence, &amount, &after, &at, &transaction, &belongs); err != nil {
		return false, err
	}
	if !h.open || a.ID != h.account.ID {
		h.end()
		h.account, h.open, h.sequence, h.running, h.last = a, true, 0, 0, time.Time{}
		started = true
	}
	if sequence != nil {
		h.entry(*sequence, *amount, *after, *at, *transaction, belongs)
	}
	return started, nil
}

func (h *history) entry(sequence, amount, after int64, at time.Time, transaction models.TransactionID, belongs bool) {
	subject := h.account.ID.String()
	if sequence != h.sequence+1 {
		h.found(h.business, subject, "sequence", "entry %d follows entry %d", sequence, h.sequence)
	}
	if after != h.running+amount {
		h.found(h.business, subject, "running_balance", "entry %d: %d and %d make %d, not %d", sequence, h.running, amount, h.running+amount, after)
	}
	if at.Before(h.last) {
		h.found(h.business, subject, "time", "entry %d is older than the one before it", sequence)
	}
	if !belongs {
		h.found(h.business, subject, "transaction", "entry %d is no side of %s", sequence, transaction)
	}
	// What is wrong once is reported once: the walk goes on from what is stored.
	h.sequence, h.running, h.last = sequence, after, at
	h.progress.Entries++
}

// end compares the account with the end of its history.
func (h *history) end() {
	if !h.open {
		return
	}
	h.open = false
	a, subject := h.account, h.account.ID.String()
	if a.Balance != h.running {
		h.found(h.business, subject, "balance", "the balance is %d, the last entry left %d", a.Balance, h.running)
	}
	if a.Version != h.sequence {
		h.found(h.business, subject, "version", "the version is %d, the last entry is %d", a.Version, h.sequence)
	}
	if a.Held < 0 || a.OverdraftLimit != nil && a.Available() < -*a.OverdraftLimit {
		h.found(h.business, subject, "overdraft", "%d of %d are held, the overdraft limit is %d", a.Held, a.Balance, *a.OverdraftLimit)
	}
}
