package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
)

// historyColumns are an account, one of its entries, and whether the entry is the
// side of a transaction that it says it is.
const historyColumns = `SELECT a.id, a.balance, a.held, a.overdraft_limit, a.version, a.currency,
    e.sequence, e.amount, e.balance_after, e.created_at, e.transaction_id,
    coalesce(t.currency = a.currency AND (
        (t.source_account_id = e.account_id AND t.source_sequence = e.sequence AND e.amount = -t.amount)
        OR (t.destination_account_id = e.account_id AND t.destination_sequence = e.sequence AND e.amount = t.amount)), false)
`

// historiesSQL reads accounts with their whole histories, in order.
const historiesSQL = historyColumns + `FROM (SELECT * FROM business_accounts WHERE business_id = $1 AND id > $2 AND id <= $3) a
LEFT JOIN entries e ON e.business_id = a.business_id AND e.account_id = a.id
LEFT JOIN transactions t ON t.business_id = e.business_id AND t.id = e.transaction_id
ORDER BY a.id, e.sequence`

// stretchSQL reads a stretch of one account's history.
const stretchSQL = historyColumns + `FROM (SELECT * FROM business_accounts WHERE business_id = $1 AND id = $2) a
LEFT JOIN LATERAL (SELECT * FROM entries WHERE business_id = $1 AND account_id = $2 AND sequence > $3
    ORDER BY sequence LIMIT $4) e ON true
LEFT JOIN transactions t ON t.business_id = e.business_id AND t.id = e.transaction_id
ORDER BY e.sequence`

const lengthsSQL = `SELECT id, version FROM business_accounts WHERE business_id = $1 AND id > $2 ORDER BY id LIMIT $3`

// length is how long an account's history should be.
type length struct {
	id      models.AccountID
	entries int64
}

// accounts walks the accounts of a business with their whole histories: as many
// at a time as make a step, and a history that is longer in stretches.
func (v *verifier) accounts(ctx context.Context, business models.BusinessID) error {
	var after models.AccountID
	for {
		rows, err := v.db.Pool.Query(ctx, lengthsSQL, business, uuidOf(after), accountsPerStep)
		if err != nil {
			return err
		}
		lengths, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l length, err error) {
			err = row.Scan(&l.id, &l.entries)
			return l, err
		})
		if err != nil || len(lengths) == 0 {
			return err
		}
		for rest := lengths; len(rest) > 0; {
			n := oneStep(rest)
			h := history{verifier: v, business: business}
			if n == 0 {
				n, err = 1, h.stretches(ctx, rest[0].id)
			} else {
				err = v.stepped(ctx, historiesSQL, []any{business, uuidOf(after), rest[n-1].id}, h.read)
			}
			if err != nil {
				return err
			}
			h.end()
			after, rest = rest[n-1].id, rest[n:]
			v.progress.Accounts += int64(n)
			if err := v.step(ctx); err != nil {
				return err
			}
		}
	}
}

// oneStep is how many of the accounts, from the first on, have histories that
// make one step together: 0 when the first is too long by itself.
func oneStep(accounts []length) int {
	entries := int64(0)
	for i, a := range accounts {
		if entries += a.entries; entries > entriesPerStep {
			return i
		}
	}
	return len(accounts)
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

// stretches reads a long history, keeping the pause between its stretches. What
// is written meanwhile comes in a later one; the account is compared as the last
// of them saw it.
func (h *history) stretches(ctx context.Context, id models.AccountID) error {
	for {
		before := h.sequence
		seen := h.progress.Entries
		if err := h.stepped(ctx, stretchSQL, []any{h.business, id, before, entriesPerStep}, h.read); err != nil {
			return err
		}
		if h.progress.Entries-seen < entriesPerStep {
			return nil
		}
		if err := h.step(ctx); err != nil {
			return err
		}
	}
}

// read takes rows of historyColumns.
func (h *history) read(rows pgx.Rows) error {
	for rows.Next() {
		var a models.Account
		var sequence, amount, after *int64
		var at *time.Time
		var transaction *models.TransactionID
		var belongs bool
		if err := rows.Scan(&a.ID, &a.Balance, &a.Held, &a.OverdraftLimit, &a.Version, &a.Currency,
			&sequence, &amount, &after, &at, &transaction, &belongs); err != nil {
			return err
		}
		if !h.open || a.ID != h.account.ID {
			h.end()
			h.open, h.sequence, h.running, h.last = true, 0, 0, time.Time{}
		}
		h.account = a
		if sequence != nil {
			h.entry(*sequence, *amount, *after, *at, *transaction, belongs)
		}
	}
	return rows.Err()
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
	if a.Held < 0 {
		h.found(h.business, subject, "overdraft", "%d are held", a.Held)
	}
	if a.OverdraftLimit != nil && a.Available() < -*a.OverdraftLimit {
		h.found(h.business, subject, "overdraft", "%d of %d are held, the overdraft limit is %d", a.Held, a.Balance, *a.OverdraftLimit)
	}
}
