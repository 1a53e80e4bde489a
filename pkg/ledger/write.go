package ledger

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// What a batch writes: one COPY or set-based statement per table, whatever the
// number of operations. A key or reference that another replica committed in the
// same moment raises a unique violation, which rolls the batch back and runs it
// again; that costs one statement less than ON CONFLICT DO NOTHING RETURNING,
// whose rows would have to be read before COMMIT could be sent.

const updateAccountsSQL = `UPDATE business_accounts a
SET balance = u.balance, held = u.held, version = u.version, last_entry_at = u.last_entry_at
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
    AS u (business_id, id, balance, held, version, last_entry_at)
WHERE a.business_id = u.business_id AND a.id = u.id`

const (
	copyTransactionsSQL = `COPY transactions (business_id, id, type, source_account_id, destination_account_id,
    source_sequence, destination_sequence, amount, currency, description, reference, metadata,
    idempotency_scope, idempotency_key, fingerprint, reverses_transaction_id, hold_id, effective_at, created_at) FROM STDIN (FORMAT binary)`
	copyMetadataSQL = `COPY transaction_metadata (business_id, key, value, transaction_id) FROM STDIN (FORMAT binary)`
	copyEntriesSQL  = `COPY entries (business_id, account_id, sequence, transaction_id, amount, balance_after, created_at) FROM STDIN (FORMAT binary)`
	commitSQL       = "COMMIT"
)

// writeStatements are all that a commit may run.
var writeStatements = append([]string{
	updateAccountsSQL, copyTransactionsSQL, copyMetadataSQL, copyEntriesSQL, copyHoldsSQL, updateHoldsSQL,
	upsertReversalsSQL, copyAnswersSQL, lockAssumedSQL, commitSQL,
}, outbox.WriteStatements...)

// writeRows adds everything to the pipeline that needs no lock: what it inserts, and
// holds and reversals, which no batch ahead has touched. Events and answers are left
// out: their JSON is made while PostgreSQL works on this.
func (b *book) writeRows(p *database.Pipeline) {
	if len(b.transactions) > 0 {
		p.Copy(copyTransactionsSQL, b.writeTransactions)
		b.writeMetadata(p)
	}
	if len(b.entries) > 0 {
		p.Copy(copyEntriesSQL, b.writeEntries)
	}
	b.writeHolds(p)
	b.writeReversals(p)
}

func (b *book) writeAccounts(p *database.Pipeline) {
	n := len(b.touched)
	if n == 0 {
		return
	}
	businesses, ids := make([]models.BusinessID, n), make([]models.AccountID, n)
	balances, helds, versions := make([]int64, n), make([]int64, n), make([]int64, n)
	times := make([]*time.Time, n)
	for i, a := range b.touched {
		businesses[i], ids[i] = a.business, a.id
		balances[i], helds[i], versions[i] = a.balance, a.held, a.version
		if !a.lastEntryAt.IsZero() {
			times[i] = &a.lastEntryAt
		}
	}
	p.Exec(updateAccountsSQL, businesses, ids, balances, helds, versions, times)
}

func (b *book) writeTransactions(rows *database.Rows) {
	for i := range b.transactions {
		t := &b.transactions[i]
		rows.Row(19)
		rows.UUID(t.BusinessID)
		rows.UUID(t.ID)
		rows.Text(string(t.Type))
		database.OptionalUUID(rows, t.SourceAccountID)
		database.OptionalUUID(rows, t.DestinationAccountID)
		rows.OptionalInt64(t.SourceSequence)
		rows.OptionalInt64(t.DestinationSequence)
		rows.Int64(t.Amount)
		rows.Text(t.Currency)
		rows.OptionalText(t.Description)
		rows.OptionalText(t.Reference)
		writePairs(rows, t.Metadata)
		rows.Text(string(t.IdempotencyScope))
		rows.Text(t.IdempotencyKey)
		rows.Bytes(t.Fingerprint)
		database.OptionalUUID(rows, t.ReversesTransactionID)
		database.OptionalUUID(rows, t.HoldID)
		rows.OptionalTime(t.EffectiveAt)
		rows.Time(t.CreatedAt)
	}
}

// writePairs adds metadata as jsonb; none is NULL.
func writePairs(rows *database.Rows, metadata models.Metadata) {
	if len(metadata) == 0 {
		rows.Null()
		return
	}
	encoded, _ := json.Marshal(map[string]string(metadata)) //nolint:errchkjson // strings always encode
	rows.JSONB(encoded)
}

func (b *book) writeMetadata(p *database.Pipeline) {
	if !slices.ContainsFunc(b.transactions, func(t models.Transaction) bool { return len(t.Metadata) > 0 }) {
		return
	}
	p.Copy(copyMetadataSQL, func(rows *database.Rows) {
		for i := range b.transactions {
			t := &b.transactions[i]
			for key, value := range t.Metadata {
				rows.Row(4)
				rows.UUID(t.BusinessID)
				rows.Text(key)
				rows.Text(value)
				rows.UUID(t.ID)
			}
		}
	})
}

func (b *book) writeEntries(rows *database.Rows) {
	for i := range b.entries {
		e := &b.entries[i]
		rows.Row(7)
		rows.UUID(e.BusinessID)
		rows.UUID(e.AccountID)
		rows.Int64(e.Sequence)
		rows.UUID(e.TransactionID)
		rows.Int64(e.Amount)
		rows.Int64(e.BalanceAfter)
		rows.Time(e.CreatedAt)
	}
}
