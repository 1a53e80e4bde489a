package ledger

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
)

// explain returns the plan of a statement of the hot path, as a prepared
// statement gets it in a ledger transaction on tables that are still empty.
func explain(t *testing.T, tx pgx.Tx, sql string, args ...any) string {
	t.Helper()
	rows, err := tx.Query(t.Context(), "EXPLAIN "+sql, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

func TestHotStatementsWalkIndexes(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	tx, err := database.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // ends with the test
	_, err = tx.Exec(t.Context(), settingsSQL, "2000")
	require.NoError(t, err)
	business, account := models.NewID[models.BusinessPrefix](), models.NewID[models.AccountPrefix]()
	businesses, accounts, texts := []models.BusinessID{business}, []models.AccountID{account}, []string{"x"}

	lock := explain(t, tx, lockSQL, businesses, accounts)
	require.Contains(t, lock, "business_accounts_pkey")
	// The lock step takes the rows in the order in which the sort hands them over:
	// account locks of all transactions are taken in one order.
	require.Regexp(t, `(?s)LockRows.*Sort.*Sort Key: a.business_id, a.id`, lock)
	for name, plan := range map[string]string{
		"transactions_idempotency_key": explain(t, tx, knownSQL, businesses, texts, texts),
		"transactions_reference_key":   explain(t, tx, referencesSQL, businesses, texts),
		"business_accounts_pkey": explain(t, tx, updateAccountsSQL, businesses, accounts,
			[]int64{1}, []int64{0}, []int64{1}, []*string{nil}),
	} {
		require.Contains(t, plan, name)
		require.NotContains(t, plan, "Seq Scan")
		require.NotContains(t, plan, "Hash")
	}
	require.Contains(t, explain(t, tx, replaysSQL, businesses, texts, texts), "transactions_idempotency_key")
}

func TestPlansAreMadeAgainAsTablesGrow(t *testing.T) {
	t.Parallel()
	now := time.Now()
	made := planned{at: now, movements: 1000}
	require.False(t, made.due(now, 1000))
	require.False(t, made.due(now.Add(planAge-1), 2099))
	require.True(t, made.due(now, 2100), "this process filled the tables, over whichever connection")
	require.True(t, made.due(now.Add(planAge), 1000), "another process may have")

	times := 0
	made = planned{at: now}
	for movements := range int64(1_000_000) {
		if made.due(now, movements) {
			made = planned{now, movements}
			times++
		}
	}
	require.Less(t, times, 20, "not much more often than they double")
}

// TestKeysOfALargeBusinessAmongSmallOnes: to the planner, a business has as many
// transactions as they have on average.
func TestKeysOfALargeBusinessAmongSmallOnes(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	for _, sql := range []string{
		`INSERT INTO businesses (id, name) SELECT gen_random_uuid(), 'small' FROM generate_series(1, 20000)`,
		`INSERT INTO transactions (business_id, id, type, destination_account_id, destination_sequence, amount, currency,
			idempotency_scope, idempotency_key, fingerprint, created_at)
		SELECT id, gen_random_uuid(), 'credit', gen_random_uuid(), 1, 1, 'USD', 'post', gen_random_uuid()::text, '', now() FROM businesses`,
		`INSERT INTO idempotency_keys (business_id, scope, key, fingerprint, status, body)
		SELECT id, 'batch', gen_random_uuid()::text, decode(repeat('00', 32), 'hex'), 201, '{}' FROM businesses`,
		`ANALYZE transactions, idempotency_keys`,
	} {
		db.Exec(t, sql)
	}
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // ends with the test
	_, err = tx.Exec(t.Context(), settingsSQL, "2000")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = force_generic_plan")
	require.NoError(t, err)
	var businesses []models.BusinessID
	var texts []string
	for range 100 {
		businesses, texts = append(businesses, models.NewID[models.BusinessPrefix]()), append(texts, "x")
	}
	require.Contains(t, explain(t, tx, knownSQL, businesses, texts, texts), "transactions_idempotency_key")
	require.Contains(t, explain(t, tx, answersSQL, businesses, texts, texts), "idempotency_keys_pkey")
}

// A prepared statement keeps the plan that was right for an empty table.
func TestPlansFollowTheTables(t *testing.T) {
	t.Parallel()
	clone := dbtest.New(t)
	// What autovacuum would mend within a minute must be right at once.
	_, err := clone.Pool.Exec(t.Context(), "ALTER TABLE transactions SET (autovacuum_enabled = off)")
	require.NoError(t, err)
	url := clone.URL
	db, err := database.Open(t.Context(), database.Options{URL: url, MaxOpenConns: 1})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	log := logrus.New()
	log.SetOutput(io.Discard)
	l := New(db, Options{}, log)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	business := models.NewID[models.BusinessPrefix]()
	_, err = db.Pool.Exec(t.Context(), "INSERT INTO businesses (id, name) VALUES ($1, 'x')", business)
	require.NoError(t, err)
	var account models.Account
	require.NoError(t, db.InTx(t.Context(), func(tx *gorm.DB) error {
		account, err = CreateAccount(tx, business, NewAccount{Name: "x", Currency: "USD"})
		return err
	}))
	post := func(n int) {
		batch := Batch{IdempotencyKey: models.NewID[models.TransactionPrefix]().String()}
		batch.Render = func([]ItemResult) (int, []byte, error) { return 201, []byte("{}"), nil }
		for range n {
			batch.Items = append(batch.Items, Post{Type: models.Credit, Destination: account.ID, Amount: 1})
		}
		_, err := l.PostBatch(t.Context(), business, batch)
		require.NoError(t, err)
	}
	// With some hundred rows, the key's index has a level more than the primary key,
	// and nothing says yet that all of them are one business's.
	post(250)
	for range 70 {
		post(50)
	}

	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // ends with the test
	_, err = tx.Exec(t.Context(), settingsSQL, "2000")
	require.NoError(t, err)
	var statement string
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT name FROM pg_prepared_statements WHERE statement = $1", knownSQL).Scan(&statement))
	rows, err := tx.Query(t.Context(), "EXPLAIN EXECUTE "+pgx.Identifier{statement}.Sanitize()+
		" (ARRAY['"+business.UUID()+"']::uuid[], ARRAY['post'], ARRAY['x'])", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan, "\n"), "transactions_idempotency_key")
}
