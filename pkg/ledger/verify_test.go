package ledger_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// audit verifies the whole database and returns what it found.
func (k *kit) audit(t *testing.T) (findings []ledger.Finding, progress ledger.Progress) {
	t.Helper()
	progress, err := ledger.Verify(t.Context(), k.db, ledger.Audit{Found: func(f ledger.Finding) { findings = append(findings, f) }})
	require.NoError(t, err)
	return findings, progress
}

func TestVerifyFindsEveryKindOfTampering(t *testing.T) {
	t.Parallel()
	// What an intruder with SQL does, and the check that must notice, for account a.
	for name, c := range map[string]struct{ sql, check string }{
		"balance":              {`UPDATE business_accounts SET balance = balance + 1 WHERE id = $1`, "balance"},
		"version":              {`UPDATE business_accounts SET version = version + 1 WHERE id = $1`, "version"},
		"held":                 {`UPDATE business_accounts SET held = held + 1 WHERE id = $1`, "held"},
		"overdraft":            {`UPDATE business_accounts SET overdraft_limit = 0, held = balance + 5 WHERE id = $1`, "overdraft"},
		"amount of an entry":   {`UPDATE entries SET amount = amount + 1 WHERE account_id = $1 AND sequence = 2`, "running_balance"},
		"balance of an entry":  {`UPDATE entries SET balance_after = balance_after + 1 WHERE account_id = $1 AND sequence = 1`, "running_balance"},
		"time of an entry":     {`UPDATE entries SET created_at = created_at - interval '1 day' WHERE account_id = $1 AND sequence = 2`, "time"},
		"gap":                  {`DELETE FROM entries WHERE account_id = $1 AND sequence = 2`, "sequence"},
		"missing entry":        {`DELETE FROM entries WHERE account_id = $1 AND sequence = 3`, "entries"},
		"invented entry":       {`INSERT INTO entries SELECT business_id, account_id, sequence + 100, transaction_id, amount, balance_after + amount, created_at FROM entries WHERE account_id = $1 AND sequence = 3`, "transaction"},
		"orphan entries":       {`INSERT INTO entries SELECT business_id, gen_random_uuid(), 1, transaction_id, amount, amount, created_at FROM entries WHERE account_id = $1 AND sequence = 1`, "orphan"},
		"deleted account":      {`DELETE FROM business_accounts WHERE id = $1`, "orphan"},
		"deleted transaction":  {`DELETE FROM transactions WHERE destination_account_id = $1 AND type = 'credit'`, "transaction"},
		"amount of a transfer": {`UPDATE transactions SET amount = amount + 1 WHERE source_account_id = $1 AND type = 'transfer'`, "entries"},
		"both sides of a credit": {`WITH t AS (UPDATE transactions SET amount = amount + 7 WHERE destination_account_id = $1 AND type = 'credit')
			UPDATE entries SET amount = amount + 7 WHERE account_id = $1 AND sequence = 1`, "running_balance"},
		"two debits for credits": {`UPDATE transactions SET type = 'debit' WHERE destination_account_id = $1 AND type = 'credit'`, "sum"},
		"currency":               {`UPDATE business_accounts SET currency = 'EUR' WHERE id = $1`, "sum"},
		"captured":               {`UPDATE holds SET captured_amount = captured_amount + 1 WHERE account_id = $1`, "captured"},
		"status of a hold":       {`UPDATE holds SET status = 'voided' WHERE account_id = $1 AND status = 'pending'`, "held"},
		"reversed":               {`UPDATE reversals SET reversed = reversed - 1 WHERE $1::uuid IS NOT NULL`, "reversed"},
		"forgotten reversal":     {`DELETE FROM reversals WHERE $1::uuid IS NOT NULL`, "reversed"},
		"bound of reversals":     {`UPDATE reversals SET amount = amount + 1000 WHERE $1::uuid IS NOT NULL`, "reversed"},
		"negative held":          {`UPDATE business_accounts SET held = -1, overdraft_limit = NULL WHERE id = $1`, "overdraft"},
		"beyond 64 bits": {`UPDATE business_accounts SET balance = 9223372036854775807 WHERE id = $1
			OR id = (SELECT destination_account_id FROM transactions WHERE source_account_id = $1 LIMIT 1)`, "sum"},
		"invented transaction": {`INSERT INTO transactions SELECT business_id, gen_random_uuid(), type, source_account_id, destination_account_id,
			source_sequence + 100, destination_sequence + 100, amount, currency, description, NULL, metadata, 'post', 'forged', fingerprint, NULL, NULL, NULL, created_at
			FROM transactions WHERE source_account_id = $1 AND type = 'transfer' AND hold_id IS NULL LIMIT 1`, "entries"},
		"one side only": {`DELETE FROM entries WHERE account_id <> $1 AND transaction_id = (SELECT id FROM transactions
			WHERE source_account_id = $1 AND type = 'transfer' ORDER BY id LIMIT 1)`, "entries"},
		"hold of nobody": {`UPDATE holds SET account_id = gen_random_uuid() WHERE account_id = $1 AND status = 'pending'`, "held"},
		"deleted hold":   {`DELETE FROM holds WHERE account_id = $1`, "captured"},
		"moved hold":     {`UPDATE holds SET account_id = destination_account_id, destination_account_id = NULL WHERE account_id = $1`, "held"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, ledger.Options{})
			a, b := k.account(t, 1000), k.account(t, 0)
			k.post(t, transfer(a, b, 100))
			original := k.post(t, transfer(a, b, 50))
			_, err := k.reverse(t, original.ID, nil)
			require.NoError(t, err)
			id := k.mustHold(t, hold(a, b, 100))
			part := int64(10)
			_, err = k.capture(t, id, &part, false)
			require.NoError(t, err)
			findings, progress := k.audit(t)
			require.Empty(t, findings)
			require.Equal(t, progress.EntriesTotal, progress.Entries)

			tx, err := k.db.Pool.Begin(t.Context())
			require.NoError(t, err)
			for _, sql := range []string{
				`SET LOCAL session_replication_role = replica`, // no triggers, no foreign keys
				`ALTER TABLE business_accounts DROP CONSTRAINT business_accounts_no_overdraft`,
				`ALTER TABLE business_accounts DROP CONSTRAINT business_accounts_balance_range`,
				`ALTER TABLE business_accounts DROP CONSTRAINT business_accounts_held_check`,
				`ALTER TABLE transactions DROP CONSTRAINT transactions_sides`,
			} {
				_, err = tx.Exec(t.Context(), sql)
				require.NoError(t, err)
			}
			tag, err := tx.Exec(t.Context(), c.sql, a)
			require.NoError(t, err)
			require.Positive(t, tag.RowsAffected())
			require.NoError(t, tx.Commit(t.Context()))

			findings, _ = k.audit(t)
			var checks []string
			text := ""
			for _, f := range findings {
				text += f.Subject + " " + f.Detail + "\n"
				require.Equal(t, k.business, f.BusinessID)
				require.NotEmpty(t, f.Subject)
				checks = append(checks, f.Check)
			}
			require.Contains(t, checks, c.check)
			if c.check != "sum" || name == "beyond 64 bits" {
				require.True(t, strings.Contains(text, a.String()) || strings.Contains(text, b.String()) || name == "orphan entries",
					"an account is named: %s", text)
			}
			if c.check == "balance" || c.check == "sequence" {
				require.Equal(t, a.String(), findings[0].Subject, "the account is named")
			}
		})
	}
}

func TestVerifyIsRightBesideLiveTraffic(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	var accounts []models.AccountID
	for range 5 {
		accounts = append(accounts, k.account(t, 1_000_000))
	}
	var stop atomic.Bool
	var group errgroup.Group
	for n := range 4 {
		group.Go(func() error {
			for i := 0; !stop.Load(); i++ {
				if _, err := k.ledger.Post(t.Context(), k.business, transfer(accounts[(n+i)%5], accounts[(n+i+1)%5], 1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 10 {
		findings, _ := k.audit(t)
		require.Empty(t, findings)
	}
	stop.Store(true)
	require.NoError(t, group.Wait())
	own := k.business
	count := 0
	_, err := ledger.Verify(t.Context(), k.db, ledger.Audit{Business: &own, Found: func(ledger.Finding) { count++ }})
	require.NoError(t, err)
	require.Zero(t, count)
}

func TestVerifyFindsRowsOfNobody(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"business_accounts", "transactions", "entries", "holds", "reversals"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, ledger.Options{})
			a, b := k.account(t, 1000), k.account(t, 0)
			original := k.post(t, transfer(a, b, 50))
			_, err := k.reverse(t, original.ID, nil)
			require.NoError(t, err)
			k.mustHold(t, hold(a, b, 100))
			findings, _ := k.audit(t)
			require.Empty(t, findings)
			stranger := models.NewID[models.BusinessPrefix]()
			tx, err := k.db.Pool.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`)
			require.NoError(t, err)
			// The intruder copies a row into a business of his own.
			_, err = tx.Exec(t.Context(), `INSERT INTO `+table+` SELECT (jsonb_populate_record(r, jsonb_build_object('business_id', $1::uuid))).* FROM `+table+` r LIMIT 1`, stranger)
			require.NoError(t, err)
			require.NoError(t, tx.Commit(t.Context()))
			findings, _ = k.audit(t)
			require.Len(t, findings, 1)
			require.Equal(t, "orphan", findings[0].Check)
			require.Equal(t, stranger.String(), findings[0].Subject)
			require.Contains(t, findings[0].Detail, table)
		})
	}
}

func TestVerifyReadsLongHistoriesInStretches(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	short, long, last := k.account(t, 10), k.account(t, 10), k.account(t, 10)
	const entries = 45_000
	_, err := k.db.Pool.Exec(t.Context(), `INSERT INTO transactions (business_id, id, type, destination_account_id, destination_sequence,
			amount, currency, idempotency_scope, idempotency_key, fingerprint, created_at)
		SELECT $1, gen_random_uuid(), 'credit', $2, n, 1, 'USD', 'post', 'long-' || n, '', now() FROM generate_series(2, $3) n`, k.business, long, entries)
	require.NoError(t, err)
	_, err = k.db.Pool.Exec(t.Context(), `INSERT INTO entries SELECT business_id, $1, destination_sequence, id, 1, 9 + destination_sequence, created_at
		FROM transactions WHERE idempotency_key LIKE 'long-%'`, long)
	require.NoError(t, err)
	_, err = k.db.Pool.Exec(t.Context(), `UPDATE business_accounts SET version = $2::bigint, balance = 9 + $2::bigint, last_entry_at = now() WHERE id = $1`, long, entries)
	require.NoError(t, err)
	k.post(t, transfer(long, short, 1))
	k.post(t, transfer(long, last, 1))
	seen, largest := int64(0), int64(0)
	progress, err := ledger.Verify(t.Context(), k.db, ledger.Audit{
		Found:    func(f ledger.Finding) { t.Error(f) },
		Progress: func(p ledger.Progress) { seen, largest = p.Entries, max(largest, p.Entries-seen) },
	})
	require.NoError(t, err)
	require.Equal(t, int64(3), progress.Accounts)
	require.Equal(t, progress.EntriesTotal, progress.Entries)
	require.LessOrEqual(t, largest, int64(20_000), "no statement reads a long history at once")

	tx, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`)
	require.NoError(t, err)
	for _, sql := range []string{
		`DELETE FROM entries WHERE account_id = $1 AND sequence IN (20000, 33333)`,
		`UPDATE business_accounts SET balance = balance + 1 WHERE id = $1`,
	} {
		_, err = tx.Exec(t.Context(), sql, long)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))
	findings, _ := k.audit(t)
	checks := map[string]int{}
	for _, f := range findings {
		checks[f.Check]++
	}
	require.Equal(t, map[string]int{"sequence": 2, "running_balance": 2, "balance": 1, "entries": 2, "sum": 1}, checks)
}
