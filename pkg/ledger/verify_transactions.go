package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
)

// sidesSQL reads a slice of transactions with what became of their sides.
const sidesSQL = `SELECT t.id, t.source_account_id, t.destination_account_id,
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
				var sourceID, destinationID *models.AccountID
				var source, destination bool
				if err := rows.Scan(&after, &sourceID, &destinationID, &source, &destination); err != nil {
					return err
				}
				seen++
				v.side(business, after, sourceID, source)
				v.side(business, after, destinationID, destination)
				if sourceID == nil && destinationID == nil {
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

func (v *verifier) side(business models.BusinessID, id models.TransactionID, account *models.AccountID, matches bool) {
	if account == nil {
		return
	}
	v.progress.Entries++
	if !matches {
		v.found(business, id.String(), "entries", "its entry on %s is missing or different", account)
	}
}

// findingsSQL are checks that a statement can do by itself: each returns what is
// broken, as the id and the text that subject makes an id of, the account that
// it is about, and the figures of detail. The figures are text: what an intruder
// makes of them need not fit into 64 bits.
var findingsSQL = []struct {
	check, detail, sql string
	subject            func(raw [16]byte, text string) string
}{
	// Walks from account to account through the primary key of entries, instead of
	// looking up the account of every entry.
	{"orphan", "it has entries, the last is %s, but there is no such account (%s)", `
		WITH RECURSIVE owners AS (
			(SELECT account_id FROM entries WHERE business_id = $1 ORDER BY account_id LIMIT 1)
			UNION ALL
			SELECT (SELECT e.account_id FROM entries e WHERE e.business_id = $1 AND e.account_id > o.account_id
				ORDER BY e.account_id LIMIT 1) FROM owners o WHERE o.account_id IS NOT NULL)
		SELECT o.account_id, '', NULL::uuid, (SELECT max(sequence) FROM entries WHERE business_id = $1 AND account_id = o.account_id)::text, 'orphan'
		FROM owners o WHERE o.account_id IS NOT NULL AND NOT EXISTS (
			SELECT 1 FROM business_accounts a WHERE a.business_id = $1 AND a.id = o.account_id) LIMIT 100`, accountSubject},
	{"held", "%s is held, its pending holds have %s left", `
		SELECT coalesce(a.id, h.account_id), '', NULL::uuid, coalesce(a.held, 0)::text, coalesce(h.amount, 0)::text
		FROM (SELECT id, held FROM business_accounts WHERE business_id = $1) a
		FULL JOIN (SELECT account_id, sum(amount - captured_amount) AS amount FROM holds
			WHERE business_id = $1 AND status = 'pending' GROUP BY account_id) h ON h.account_id = a.id
		WHERE coalesce(a.held, 0) <> coalesce(h.amount, 0) LIMIT 100`, accountSubject},
	{"captured", "%s is captured, its transactions sum to %s", `
		SELECT coalesce(h.id, t.hold_id), '', h.account_id, coalesce(h.captured_amount, 0)::text, coalesce(t.amount, 0)::text
		FROM (SELECT id, account_id, captured_amount FROM holds WHERE business_id = $1) h
		FULL JOIN (SELECT hold_id, sum(amount) AS amount FROM transactions
			WHERE business_id = $1 AND hold_id IS NOT NULL GROUP BY hold_id) t ON t.hold_id = h.id
		WHERE coalesce(h.captured_amount, 0) <> coalesce(t.amount, 0) LIMIT 100`,
		func(raw [16]byte, _ string) string { return models.HoldID(raw).String() }},
	{"reversed", "%s is recorded as reversed, its reversals sum to %s", `
		SELECT coalesce(r.transaction_id, t.id), '', coalesce(o.source_account_id, o.destination_account_id), coalesce(r.reversed, 0)::text, coalesce(t.amount, 0)::text
		FROM (SELECT * FROM reversals WHERE business_id = $1) r
		FULL JOIN (SELECT reverses_transaction_id AS id, sum(amount) AS amount FROM transactions
			WHERE business_id = $1 AND reverses_transaction_id IS NOT NULL GROUP BY 1) t ON t.id = r.transaction_id
		LEFT JOIN transactions o ON o.business_id = $1 AND o.id = coalesce(r.transaction_id, t.id)
		WHERE coalesce(r.reversed, 0) <> coalesce(t.amount, 0) OR o.id IS NULL LIMIT 100`, transactionSubject},
	{"reversed", "it is %s, but its reversals are bounded by %s", `
		SELECT r.transaction_id, '', coalesce(o.source_account_id, o.destination_account_id), o.amount::text, r.amount::text
		FROM reversals r JOIN transactions o ON o.business_id = $1 AND o.id = r.transaction_id
		WHERE r.business_id = $1 AND r.amount <> o.amount LIMIT 100`, transactionSubject},
	{"sum", "its balances sum to %s, credits minus debits make %s", `
		SELECT $1::uuid, coalesce(a.currency, t.currency), NULL::uuid, coalesce(a.amount, 0)::text, coalesce(t.amount, 0)::text
		FROM (SELECT currency, sum(balance) AS amount FROM business_accounts WHERE business_id = $1 GROUP BY currency) a
		FULL JOIN (SELECT currency, sum(CASE type WHEN 'credit' THEN amount WHEN 'debit' THEN -amount ELSE 0 END) AS amount
			FROM transactions WHERE business_id = $1 GROUP BY currency) t ON t.currency = a.currency
		WHERE coalesce(a.amount, 0) <> coalesce(t.amount, 0)`,
		func(_ [16]byte, currency string) string { return currency }},
}

func accountSubject(raw [16]byte, _ string) string { return models.AccountID(raw).String() }

func transactionSubject(raw [16]byte, _ string) string { return models.TransactionID(raw).String() }

// findings runs the checks of findingsSQL, each on one consistent state.
func (v *verifier) findings(ctx context.Context, business models.BusinessID) error {
	for _, f := range findingsSQL {
		rows, err := v.db.Pool.Query(ctx, f.sql, business)
		if err != nil {
			return err
		}
		var raw [16]byte
		var text string
		var account *models.AccountID
		var figures [2]string
		_, err = pgx.ForEachRow(rows, []any{&raw, &text, &account, &figures[0], &figures[1]}, func() error {
			detail := fmt.Sprintf(f.detail, figures[0], figures[1])
			if account != nil {
				detail += fmt.Sprintf(" (account %s)", account)
			}
			v.found(business, f.subject(raw, text), f.check, "%s", detail)
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

// straysSQL walks from business to business through the primary key of a table
// and returns those that do not exist.
const straysSQL = `WITH RECURSIVE owners AS (
    (SELECT business_id FROM %[1]s ORDER BY business_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.business_id FROM %[1]s t WHERE t.business_id > o.business_id ORDER BY t.business_id LIMIT 1)
    FROM owners o WHERE o.business_id IS NOT NULL)
SELECT o.business_id FROM owners o
WHERE o.business_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM businesses b WHERE b.id = o.business_id) LIMIT 100`

// strays looks for rows of businesses that do not exist, which no walk by
// business meets.
func (v *verifier) strays(ctx context.Context) error {
	for _, table := range [...]string{"business_accounts", "transactions", "entries", "holds", "reversals"} {
		rows, err := v.db.Pool.Query(ctx, fmt.Sprintf(straysSQL, table))
		if err != nil {
			return err
		}
		var business models.BusinessID
		_, err = pgx.ForEachRow(rows, []any{&business}, func() error {
			v.found(business, business.String(), "orphan", "there are %s of it, but there is no such business", table)
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
