package ledger_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// kit is a ledger on a database of its own.
type kit struct {
	db       *database.DB
	ledger   *ledger.Ledger
	business models.BusinessID
}

func newKit(t *testing.T, options ledger.Options) *kit {
	t.Helper()
	return newKitOn(t, dbtest.New(t).URL, options)
}

func newKitOn(t *testing.T, url string, options ledger.Options) *kit {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	k := &kit{db: db, ledger: startLedger(t, db, options)}
	k.business = k.newBusiness(t)
	return k
}

func startLedger(t testing.TB, db *database.DB, options ledger.Options) *ledger.Ledger {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	l := ledger.New(db, options, log)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, l.Close(ctx))
	})
	return l
}

func (k *kit) newBusiness(t testing.TB) models.BusinessID {
	t.Helper()
	b := models.Business{
		ID: models.NewID[models.BusinessPrefix](), Name: t.Name(), Status: models.BusinessActive,
		DefaultCurrency: "USD", CreatedAt: database.Now(), UpdatedAt: database.Now(),
	}
	require.NoError(t, k.db.Gorm.Create(&b).Error)
	return b.ID
}

// account opens an account in USD with the balance.
func (k *kit) account(t *testing.T, balance int64) models.AccountID {
	t.Helper()
	return k.accountOf(t, k.business, balance)
}

func (k *kit) accountOf(t *testing.T, business models.BusinessID, balance int64) models.AccountID {
	t.Helper()
	a := k.open(t, business, ledger.NewAccount{Name: "Account", Currency: "USD", OverdraftLimit: new(int64)})
	if balance > 0 {
		_, err := k.ledger.Post(t.Context(), business, credit(a.ID, balance))
		require.NoError(t, err)
	}
	return a.ID
}

func (k *kit) open(t testing.TB, business models.BusinessID, in ledger.NewAccount) models.Account {
	t.Helper()
	var a models.Account
	require.NoError(t, k.db.InTx(t.Context(), func(tx *gorm.DB) error {
		var err error
		a, err = ledger.CreateAccount(tx, business, in)
		return err
	}))
	return a
}

func (k *kit) get(t *testing.T, id models.AccountID) models.Account {
	t.Helper()
	a, err := k.ledger.Account(t.Context(), k.business, id)
	require.NoError(t, err)
	return a
}

// count returns how many rows of a table the kit's business has.
func (k *kit) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	require.NoError(t, k.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE business_id = $1", k.business).Scan(&n))
	return n
}

// requireSound checks P2 and P3 for the whole database.
func (k *kit) requireSound(t *testing.T) {
	t.Helper()
	for name, sql := range map[string]string{
		"balance is the sum of the entries": `SELECT count(*) FROM business_accounts a
			WHERE balance <> (SELECT coalesce(sum(amount), 0) FROM entries e WHERE e.business_id = a.business_id AND e.account_id = a.id)`,
		"version is the last sequence, without a gap": `SELECT count(*) FROM business_accounts a
			WHERE ARRAY[version, version] <> (SELECT ARRAY[coalesce(max(sequence), 0), count(*)] FROM entries e
				WHERE e.business_id = a.business_id AND e.account_id = a.id)`,
		"running balances": `SELECT count(*) FROM (SELECT balance_after, sum(amount) OVER (PARTITION BY business_id, account_id ORDER BY sequence) AS running FROM entries) e
			WHERE balance_after <> running`,
		"time runs with the sequence": `SELECT count(*) FROM (SELECT created_at, lag(created_at) OVER (PARTITION BY business_id, account_id ORDER BY sequence) AS before FROM entries) e
			WHERE created_at < before`,
		"every side has its entry": `SELECT count(*) FROM transactions t WHERE
			(SELECT coalesce(sum(amount), 0) FROM entries e WHERE e.business_id = t.business_id AND e.transaction_id = t.id)
			<> CASE type WHEN 'credit' THEN amount WHEN 'debit' THEN -amount ELSE 0 END`,
		"one event per transaction": `SELECT abs((SELECT count(*) FROM transactions) - (SELECT count(*) FROM webhook_events WHERE type = 'transaction.created'))`,
		"the outbox runs with the sequence": `SELECT count(*) FROM (
			SELECT n.sequence, lag(n.sequence) OVER (PARTITION BY n.account_id ORDER BY o.seq) AS before
			FROM webhook_outbox o JOIN webhook_events e ON e.business_id = o.business_id AND e.id = o.event_id AND e.type = 'transaction.created',
				jsonb_to_recordset(convert_from(e.body, 'UTF8')::jsonb -> 'data' -> 'entries') AS n (account_id text, sequence bigint)) s
			WHERE sequence <= before`,
		"no overdraft": `SELECT count(*) FROM business_accounts WHERE balance - held < -overdraft_limit`,
	} {
		var broken int
		require.NoError(t, k.db.Pool.QueryRow(context.Background(), sql).Scan(&broken), name)
		require.Zero(t, broken, name)
	}
}

func key() string { return models.NewID[models.TransactionPrefix]().String() }

func credit(to models.AccountID, amount int64) ledger.Post {
	return ledger.Post{Type: models.Credit, Destination: to, Amount: amount, IdempotencyKey: key()}
}

func debit(from models.AccountID, amount int64) ledger.Post {
	return ledger.Post{Type: models.Debit, Source: from, Amount: amount, IdempotencyKey: key()}
}

func transfer(from, to models.AccountID, amount int64) ledger.Post {
	return ledger.Post{Type: models.Transfer, Source: from, Destination: to, Amount: amount, IdempotencyKey: key()}
}

func decode(t *testing.T, body []byte) wire.Transaction {
	t.Helper()
	var shape wire.Transaction
	require.NoError(t, json.Unmarshal(body, &shape, json.RejectUnknownMembers(true)))
	return shape
}

func hold(from, to models.AccountID, amount int64) ledger.NewHold {
	return ledger.NewHold{Account: from, Destination: to, Amount: amount, IdempotencyKey: key()}
}

// mustHold creates a hold and returns its id.
func (k *kit) mustHold(t *testing.T, in ledger.NewHold) models.HoldID {
	t.Helper()
	result, err := k.ledger.CreateHold(t.Context(), k.business, in)
	require.NoError(t, err)
	var shape wire.Hold
	require.NoError(t, json.Unmarshal(result.Body, &shape, json.RejectUnknownMembers(true)))
	return shape.ID
}

func (k *kit) capture(t *testing.T, id models.HoldID, amount *int64, final bool) (ledger.Result, error) {
	t.Helper()
	return k.ledger.Capture(t.Context(), k.business, ledger.Capture{Hold: id, Amount: amount, Final: final, IdempotencyKey: key()})
}

func (k *kit) void(t *testing.T, id models.HoldID) (ledger.Result, error) {
	t.Helper()
	return k.ledger.Void(t.Context(), k.business, ledger.Void{Hold: id, IdempotencyKey: key()})
}

func (k *kit) holdOf(t *testing.T, id models.HoldID) models.Hold {
	t.Helper()
	h, err := k.ledger.Hold(t.Context(), k.business, id)
	require.NoError(t, err)
	return h
}

// events counts the events of a type.
func (k *kit) events(t *testing.T, kind models.EventType) int {
	t.Helper()
	var n int
	require.NoError(t, k.db.Pool.QueryRow(t.Context(),
		"SELECT count(*) FROM webhook_events WHERE business_id = $1 AND type = $2", k.business, string(kind)).Scan(&n))
	return n
}
