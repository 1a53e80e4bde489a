package ledger

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

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
