package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
)

// sidesSQL reads a slice of transactions with what became of their sides.
const sidesSQL = `SELECT t.id, t.source_account_id IS NOT NULL, t.destination_account_id IS NOT NULL,
    coalesce(s.transaction_id = t.id AND s.amount = -t.amount, false),
    coalesce(d.transaction_id = t.id AND d.amount = t.amount, false)
FROM (SELECT * FROM transactions WHERE business_id = $1 AND id > $2 ORDER BY id LIMIT $3) t
LEFT JOIN entries s ON s.business_id = t.business_id AND s.account_id = t.source_account_id AND s.sequence = t.source_sequence
LEFT JOIN entries d ON d.business_id = t.business_id AND d.account_id = t.destination_account_id AND d.sequence = t.destination_sequence
ORDER BY t.id`

// transactions checks that every transaction has the entries that it names.
func (v *verifier) transactions(ctx context.Context, business models.BusinessID) error {
	var after models.TransactionID
	for {
		seen := 0
		err := v.stepped(ctx, sidesSQL, []any{business, uuidOf(after), transactionsPerStep}, func(rows pgx.Rows) error {
			for rows.Next() {
				var hasSource, hasDestination, source, destination bool
				if err := rows.Scan(&after, &hasSource, &hasDestination, &source, &destination); err != nil {
					return err
				}
				seen++
				v.sides(business, after, hasSource, source, "source")
				v.sides(business, after, hasDestination, destination, "destination")
				if !hasSource && !hasDestination {
					v.found(business, after.String(), "entries", "it has no side at all")
				}
			}
			return rows.Err()
		})
		if err != nil {
			return err
		}
		v.progress.Transactions += int64(seen)
		if err := v.step(ctx); err != nil || seen < transactionsPerStep {
			return err
		}
	}
}

func (v *verifier) sides(business models.BusinessID, id models.TransactionID, has, matches bool, side string) {
	if !has {
		return
	}
	v.progress.Entries++
	if !matches {
		v.found(business, id.String(), "entries", "its entry on the %s's account is missing or different", side)
	}
}

// findingsSQL are checks that a statement can do by itself: each returns what is
// broken, as subject id, and two numbers that should be equal.
var findingsSQL = []struct {
	check, detail, sql string
	subject            func(raw [16]byte, text string) string
}{
	{"orphan", "it has %d entries but there is no such account", `
		SELECT e.account_id, '', count(*), 0 FROM entries e
		WHERE e.business_id = $1 AND NOT EXISTS (
			SELECT 1 FROM business_accounts a WHERE a.business_id = e.business_id AND a.id = e.account_id)
		GROUP BY e.account_id LIMIT 100`, accountSubject},
	{"held", "%d is held, its pending holds have %d left", `
		SELECT a.id, '', a.held, coalesce(h.amount, 0)::bigint FROM business_accounts a
		LEFT JOIN (SELECT account_id, sum(amount - captured_amount) AS amount FROM holds
			WHERE business_id = $1 AND status = 'pending' GROUP BY account_id) h ON h.account_id = a.id
		WHERE a.business_id = $1 AND a.held <> coalesce(h.amount, 0) LIMIT 100`, accountSubject},
	{"captured", "%d is captured, its transactions sum to %d", `
		SELECT h.id, '', h.captured_amount, coalesce(t.amount, 0)::bigint FROM holds h
		LEFT JOIN (SELECT hold_id, sum(amount) AS amount FROM transactions
			WHERE business_id = $1 AND hold_id IS NOT NULL GROUP BY hold_id) t ON t.hold_id = h.id
		WHERE h.business_id = $1 AND h.captured_amount <> coalesce(t.amount, 0) LIMIT 100`,
		func(raw [16]byte, _ string) string { return models.HoldID(raw).String() }},
	{"reversed", "%d is recorded as reversed, its reversals sum to %d", `
		SELECT coalesce(r.transaction_id, t.id), '', coalesce(r.reversed, 0)::bigint, coalesce(t.amount, 0)::bigint
		FROM (SELECT * FROM reversals WHERE business_id = $1) r
		FULL JOIN (SELECT reverses_transaction_id AS id, sum(amount) AS amount FROM transactions
			WHERE business_id = $1 AND reverses_transaction_id IS NOT NULL GROUP BY 1) t ON t.id = r.transaction_id
		LEFT JOIN transactions o ON o.business_id = $1 AND o.id = coalesce(r.transaction_id, t.id)
		WHERE coalesce(r.reversed, 0) <> coalesce(t.amount, 0) OR o.id IS NULL OR r.reversed > o.amount LIMIT 100`,
		func(raw [16]byte, _ string) string { return models.TransactionID(raw).String() }},
	{"sum", "its balances sum to %d, credits minus debits make %d", `
		SELECT $1::uuid, coalesce(a.currency, t.currency), coalesce(a.amount, 0)::bigint, coalesce(t.amount, 0)::bigint
		FROM (SELECT currency, sum(balance) AS amount FROM business_accounts WHERE business_id = $1 GROUP BY currency) a
		FULL JOIN (SELECT currency, sum(CASE type WHEN 'credit' THEN amount WHEN 'debit' THEN -amount ELSE 0 END) AS amount
			FROM transactions WHERE business_id = $1 GROUP BY currency) t ON t.currency = a.currency
		WHERE coalesce(a.amount, 0) <> coalesce(t.amount, 0)`,
		func(_ [16]byte, currency string) string { return currency }},
}

func accountSubject(raw [16]byte, _ string) string { return models.AccountID(raw).String() }

// findings runs the checks of findingsSQL, each on one consistent state.
func (v *verifier) findings(ctx context.Context, business models.BusinessID) error {
	for _, f := range findingsSQL {
		rows, err := v.db.Pool.Query(ctx, f.sql, business)
		if err != nil {
			return err
		}
		var raw [16]byte
		var text string
		var numbers [2]int64
		_, err = pgx.ForEachRow(rows, []any{&raw, &text, &numbers[0], &numbers[1]}, func() error {
			if f.check == "orphan" {
				v.found(business, f.subject(raw, text), f.check, f.detail, numbers[0])
			} else {
				v.found(business, f.subject(raw, text), f.check, f.detail, numbers[0], numbers[1])
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := v.step(ctx); err != nil {
			return err
		}
	}
	return nil
}
