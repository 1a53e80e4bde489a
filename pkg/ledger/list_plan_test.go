package ledger

import (
	"flag"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
)

// planRows is how many transactions the lists are planned over; `make soak` asks
// for a million.
var planRows = flag.Int("plan-rows", 20_000, "rows that the plans of lists are checked on")

const fillSQL = `
INSERT INTO businesses (id, name) VALUES ($1, 'Acme'), (gen_random_uuid(), 'Other');
INSERT INTO business_accounts (business_id, id, name, currency, balance, version, reference)
SELECT b.id, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'a', 'USD', 0, 0, 'ref-' || n
FROM businesses b, generate_series(1, 1000) n;
INSERT INTO transactions (business_id, id, type, source_account_id, destination_account_id, source_sequence, destination_sequence,
    amount, currency, reference, metadata, idempotency_scope, idempotency_key, fingerprint, created_at)
SELECT $1, (lpad(to_hex(n), 12, '0') || '7000800000000000' || lpad(to_hex(n % 65536), 4, '0'))::uuid, 'transfer',
    ('00000000-0000-7000-8000-' || lpad(to_hex(1 + n % 1000), 12, '0'))::uuid,
    ('00000000-0000-7000-8000-' || lpad(to_hex(1 + (n + 1) % 1000), 12, '0'))::uuid,
    1 + n / 500, 1 + n / 500 + 1, 1, 'USD', CASE n % 10 WHEN 0 THEN 'r-' || n END,
    CASE n % 10 WHEN 1 THEN '{"color": "red"}'::jsonb END, 'post', 'k-' || n, '', now()
FROM generate_series(1, $2) n;
INSERT INTO transaction_metadata (business_id, key, value, transaction_id)
SELECT business_id, 'color', 'red', id FROM transactions WHERE metadata IS NOT NULL;
INSERT INTO entries (business_id, account_id, sequence, transaction_id, amount, balance_after, created_at)
SELECT business_id, source_account_id, 2 * row_number() OVER (PARTITION BY source_account_id ORDER BY id), id, -1, 0, created_at FROM transactions;
INSERT INTO entries (business_id, account_id, sequence, transaction_id, amount, balance_after, created_at)
SELECT business_id, destination_account_id, 2 * row_number() OVER (PARTITION BY destination_account_id ORDER BY id) - 1, id, 1, 0, created_at FROM transactions;
INSERT INTO holds (business_id, id, account_id, amount, currency, status, idempotency_key, fingerprint, created_at, updated_at)
SELECT business_id, id, source_account_id, 1, 'USD', 'voided', idempotency_key, '', now(), now() FROM transactions;
INSERT INTO holds (business_id, id, account_id, amount, currency, idempotency_key, fingerprint, expires_at, created_at, updated_at)
SELECT business_id, gen_random_uuid(), source_account_id, 1, 'USD', 'p-' || idempotency_key, '', now() + amount * interval '1 hour' - random() * interval '70 minutes', now(), now()
FROM transactions WHERE reference IS NOT NULL;
INSERT INTO reversals (business_id, transaction_id, amount, reversed) SELECT business_id, id, 1, 1 FROM transactions;
ANALYZE;`

// TestListsWalkTheirIndexes checks that every list reads an index in the order
// of the list: nothing is sorted and no table is scanned, however many rows it
// has.
func TestListsWalkTheirIndexes(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	business := models.NewID[models.BusinessPrefix]()
	// Several statements at once cannot have parameters.
	sql := regexp.MustCompile(`\$1`).ReplaceAllLiteralString(fillSQL, "'"+business.UUID()+"'")
	sql = regexp.MustCompile(`\$2`).ReplaceAllLiteralString(sql, strconv.Itoa(*planRows))
	database.Exec(t, sql)
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // ends with the test

	account := models.AccountID{6: 0x70, 8: 0x80, 15: 7}
	after := models.TransactionID{5: 0x10, 6: 0x70, 8: 0x80}
	moment := time.UnixMilli(int64(*planRows) / 2)
	later := moment.Add(time.Second)
	plan := func(name, index, sql string, args []any) {
		t.Helper()
		text := explain(t, tx, sql, args...)
		require.NotContains(t, text, "Seq Scan", name)
		require.NotContains(t, text, "Sort", name)
		require.Contains(t, text, index, name)
	}
	transactions := func(name, index string, filter TransactionFilter, after models.TransactionID) {
		t.Helper()
		sql, args := filter.list(business, after, 51)
		plan(name, index, sql, args)
	}
	transactions("all", "transactions_pkey", TransactionFilter{}, models.TransactionID{})
	transactions("next page", "transactions_pkey", TransactionFilter{}, after)
	transactions("type", "transactions_pkey", TransactionFilter{Type: models.Transfer}, after)
	transactions("time", "transactions_pkey", TransactionFilter{CreatedAfter: &moment, CreatedBefore: &later}, models.TransactionID{})
	transactions("account", "entries_pkey", TransactionFilter{Account: account}, models.TransactionID{})
	transactions("account, next page", "entries_pkey", TransactionFilter{Account: account}, after)
	between := TransactionFilter{Account: account, CreatedAfter: &moment, CreatedBefore: &later}
	transactions("account and time", "entries_pkey", between, models.TransactionID{})
	// The walk begins and ends where the times say: a condition on every row would
	// bisect the account's history for each.
	sql, args := between.list(business, models.TransactionID{}, 51)
	text := explain(t, tx, sql, args...)
	require.Regexp(t, `Index Cond: .*sequence <= entry_sequence_at.*sequence > entry_sequence_at`, text)
	require.NotContains(t, text, "Filter")
	transactions("metadata", "transaction_metadata_pkey", TransactionFilter{Metadata: models.Metadata{"color": "red"}}, models.TransactionID{})
	transactions("metadata, next page", "transaction_metadata_pkey", TransactionFilter{Metadata: models.Metadata{"color": "red"}}, after)

	sql, args = HoldFilter{}.list(business, models.HoldID{}, 51)
	plan("holds", "holds_pkey", sql, args)
	sql, args = HoldFilter{Account: account}.list(business, models.HoldID(after), 51)
	plan("holds of an account", "holds_account_idx", sql, args)
	// What the sweep reads, and what every touch of an account with holds does.
	text = explain(t, tx, dueSQL, time.Time{}, uuidOf(business), uuidOf(models.HoldID(after)), 500)
	require.Contains(t, text, "holds_due_idx")
	plan("overdue holds", "holds_pending_idx", overdueSQL, []any{[]models.BusinessID{business}, []models.AccountID{account}, time.Now(), 500})
	plan("statement", "entries_pkey", `SELECT `+entryColumns+` FROM entries WHERE business_id = $1 AND account_id = $2 AND sequence < $3 ORDER BY sequence DESC LIMIT 51`,
		[]any{business, account, 20})
	plan("accounts", "business_accounts_pkey", `SELECT * FROM business_accounts WHERE business_id = $1 AND id < $2 ORDER BY id DESC LIMIT 51`,
		[]any{business, models.AccountID{6: 0x70, 8: 0x80, 14: 3, 15: 200}})
	// An index finds the few rows that there can be, and what comes is sorted.
	for index, filter := range map[string]TransactionFilter{
		"transactions_reference_key":   {Reference: "r-10"},
		"transactions_idempotency_key": {IdempotencyKey: "k-10"},
		"transactions_reverses_idx":    {Reverses: after},
		"transactions_hold_idx":        {Hold: models.HoldID(after)},
	} {
		sql, args := filter.list(business, models.TransactionID{}, 51)
		text := explain(t, tx, sql, args...)
		require.NotContains(t, text, "Seq Scan")
		require.Contains(t, text, index)
	}
}
