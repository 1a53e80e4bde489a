package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// funded is an account with one credit per amount.
func (c *cli) funded(t *testing.T, business string, amounts ...int64) string {
	t.Helper()
	owner, err := models.ParseID[models.BusinessPrefix](business)
	require.NoError(t, err)
	var account models.Account
	require.NoError(t, c.db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		account, err = ledger.CreateAccount(tx, owner, ledger.NewAccount{Name: "Alice", Currency: "USD"})
		return err
	}))
	log := logrus.New()
	log.SetOutput(io.Discard)
	books := ledger.New(c.db, ledger.Options{}, log)
	for _, amount := range amounts {
		_, err := books.Post(t.Context(), owner, ledger.Post{
			Type: models.Credit, Amount: amount, Destination: account.ID,
			IdempotencyKey: models.NewID[models.TransactionPrefix]().String(),
		})
		require.NoError(t, err)
	}
	require.NoError(t, books.Close(t.Context()))
	return account.ID.String()
}

func TestLedgerBalanceAndStatement(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	id := c.funded(t, c.business(t), 100, 20, 3)
	now := c.ok(t, "ledger", "balance", id)
	require.InDelta(t, 123, now["balance"], 0)
	require.InDelta(t, 123, now["available"], 0)
	past := c.ok(t, "ledger", "balance", id, "--at", time.Now().Add(-time.Hour).Format(time.RFC3339))
	require.InDelta(t, 0, past["balance"], 0)
	require.NotContains(t, past, "held")
	require.Regexp(t, `(?m)^AT\s+now$`, c.run(t, "ledger", "balance", id).out)

	first := c.ok(t, "ledger", "statement", id, "--limit", "2")
	require.InDelta(t, 3, data(t, first)[0]["sequence"], 0)
	require.InDelta(t, 123, data(t, first)[0]["balance_after"], 0)
	rest := data(t, c.ok(t, "ledger", "statement", id, "--cursor", c.text(t, first, "next_cursor")))
	require.Len(t, rest, 1)
	require.InDelta(t, 1, rest[0]["sequence"], 0)

	unknown := models.NewID[models.AccountPrefix]().String()
	for line, code := range map[string]int{
		"ledger balance " + unknown:                 exitNotFound,
		"ledger statement " + unknown:               exitNotFound,
		"ledger balance x":                          exitNotFound,
		"ledger balance --at noon " + id:            exitUsage,
		"ledger statement --cursor x " + id:         exitUsage,
		"ledger statement --limit 0 " + id:          exitUsage,
		"ledger verify --business " + "biz_unknown": exitNotFound,
	} {
		require.Equal(t, code, c.run(t, strings.Fields(line)...).code, line)
	}
}

func TestLedgerStatementIsExported(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	const entries = exportPage + 5
	id := c.funded(t, c.business(t))
	account, err := models.ParseID[models.AccountPrefix](id)
	require.NoError(t, err)
	_, err = c.db.Pool.Exec(t.Context(), `INSERT INTO entries SELECT business_id, id, n, gen_random_uuid(), n, n * (n + 1) / 2, now()
		FROM business_accounts, generate_series(1, $2) n WHERE id = $1`, account, entries)
	require.NoError(t, err)
	csv := c.run(t, "ledger", "statement", id, "-o", "csv")
	require.Equal(t, exitDone, csv.code, csv.err)
	lines := strings.Split(strings.TrimSuffix(csv.out, "\n"), "\n")
	require.Equal(t, "sequence,transaction_id,amount,balance_after,created_at", lines[0])
	require.Len(t, lines, entries+1, "all of it, with one header")
	for i, line := range lines[1:] {
		sequence := entries - i
		require.Regexp(t, fmt.Sprintf(`^%d,txn_[0-9a-z]{26},%d,%d,\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`,
			sequence, sequence, sequence*(sequence+1)/2), line)
	}
	ndjson := c.run(t, "ledger", "statement", id, "--output", "ndjson")
	require.Equal(t, exitDone, ndjson.code, ndjson.err)
	require.Equal(t, entries, strings.Count(ndjson.out, "\n"))
	require.Contains(t, ndjson.out, `{"account_id":"`+id+`","sequence":1,`)

	unused := c.funded(t, c.business(t))
	require.Equal(t, lines[0]+"\n", c.run(t, "ledger", "statement", unused, "-o", "csv").out)
	require.Empty(t, c.run(t, "ledger", "statement", unused, "-o", "ndjson").out)
	for line, code := range map[string]int{
		"ledger statement -o csv --limit 5 " + id:                                  exitUsage,
		"ledger statement -o ndjson --cursor 5 " + id:                              exitUsage,
		"ledger statement -o xml " + id:                                            exitUsage,
		"ledger balance -o csv " + id:                                              exitUsage,
		"ledger statement -o csv " + models.NewID[models.AccountPrefix]().String(): exitNotFound,
	} {
		r := c.run(t, strings.Fields(line)...)
		require.Equal(t, code, r.code, line)
		require.Empty(t, r.out, line)
	}
}

func TestLedgerVerify(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business, other := c.business(t), c.business(t)
	c.funded(t, business, 100, 20)
	c.funded(t, other, 7)
	result := c.ok(t, "ledger", "verify")
	require.Equal(t, true, result["ok"])
	require.InDelta(t, 2, result["accounts"], 0)
	require.InDelta(t, 3, result["transactions"], 0)
	require.InDelta(t, 3, result["entries"], 0)
	require.Equal(t, []any{}, result["findings"])

	_, err := c.db.Pool.Exec(t.Context(), `UPDATE business_accounts SET balance = balance + 1 WHERE business_id =
		(SELECT business_id FROM business_accounts ORDER BY balance DESC LIMIT 1)`)
	require.NoError(t, err)
	broken := c.run(t, "ledger", "verify")
	require.Equal(t, exitFailed, broken.code)
	require.Contains(t, broken.err, business)
	require.Contains(t, broken.err, "the books are wrong")
	broken = c.run(t, "ledger", "verify", "--business", business, "-o", "json")
	require.Equal(t, exitFailed, broken.code)
	require.Contains(t, broken.out, `"ok": false`)
	require.Contains(t, broken.out, `"check": "balance"`)
	require.Equal(t, exitDone, c.run(t, "ledger", "verify", "--business", other).code, "the neighbour's books are right")
}
