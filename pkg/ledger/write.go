package ledger

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// What a batch writes: one set-based statement per table, whatever the number
// of operations. A key or reference that another replica committed in the same
// moment raises a unique violation, which rolls the batch back and runs it
// again; that costs one statement less than ON CONFLICT DO NOTHING RETURNING,
// whose rows would have to be read before COMMIT could be sent.

const updateAccountsSQL = `UPDATE business_accounts a
SET balance = u.balance, held = u.held, version = u.version, last_entry_at = u.last_entry_at
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
    AS u (business_id, id, balance, held, version, last_entry_at)
WHERE a.business_id = u.business_id AND a.id = u.id`

const insertTransactionsSQL = `INSERT INTO transactions (business_id, id, type, source_account_id, destination_account_id,
    source_sequence, destination_sequence, amount, currency, description, reference, metadata,
    idempotency_scope, idempotency_key, fingerprint, reverses_transaction_id, hold_id, effective_at, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::jsonb[],
    $13::text[], $14::text[], $15::bytea[], $16::uuid[], $17::uuid[], $18::timestamptz[], $19::timestamptz[])`

const insertEntriesSQL = `INSERT INTO entries (business_id, account_id, sequence, transaction_id, amount, balance_after, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::bigint[], $7::timestamptz[])`

const insertMetadataSQL = `INSERT INTO transaction_metadata (business_id, key, value, transaction_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])`

// queueWrites adds everything that the book holds to the pipeline.
func (b *book) queueWrites(writes *pgx.Batch) {
	if len(b.touched) > 0 {
		b.queueAccounts(writes)
	}
	if len(b.transactions) > 0 {
		b.queueTransactions(writes)
		b.queueMetadata(writes)
	}
	if len(b.entries) > 0 {
		b.queueEntries(writes)
	}
	b.queueHoldWrites(writes)
	b.queueReversalWrites(writes)
	b.queueAnswerWrites(writes)
	if len(b.events) > 0 {
		outbox.QueueAppend(writes, b.events)
	}
}

func (b *book) queueAccounts(writes *pgx.Batch) {
	n := len(b.touched)
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
	writes.Queue(updateAccountsSQL, businesses, ids, balances, helds, versions, times)
}

func (b *book) queueTransactions(writes *pgx.Batch) {
	n := len(b.transactions)
	businesses, ids := make([]models.BusinessID, n), make([]models.TransactionID, n)
	types, currencies, scopes, keys := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	sources, destinations := make([]*models.AccountID, n), make([]*models.AccountID, n)
	sourceSequences, destinationSequences := make([]*int64, n), make([]*int64, n)
	amounts := make([]int64, n)
	descriptions, references := make([]*string, n), make([]*string, n)
	metadata := make([]models.Metadata, n)
	fingerprints := make([][]byte, n)
	reverses, holds := make([]*models.TransactionID, n), make([]*models.HoldID, n)
	effective, created := make([]*time.Time, n), make([]time.Time, n)
	for i := range b.transactions {
		t := &b.transactions[i]
		businesses[i], ids[i], types[i] = t.BusinessID, t.ID, string(t.Type)
		sources[i], destinations[i] = t.SourceAccountID, t.DestinationAccountID
		sourceSequences[i], destinationSequences[i] = t.SourceSequence, t.DestinationSequence
		amounts[i], currencies[i] = t.Amount, t.Currency
		descriptions[i], references[i], metadata[i] = t.Description, t.Reference, t.Metadata
		scopes[i], keys[i], fingerprints[i] = string(t.IdempotencyScope), t.IdempotencyKey, t.Fingerprint
		reverses[i], holds[i] = t.ReversesTransactionID, t.HoldID
		effective[i], created[i] = t.EffectiveAt, t.CreatedAt
	}
	writes.Queue(insertTransactionsSQL, businesses, ids, types, sources, destinations,
		sourceSequences, destinationSequences, amounts, currencies, descriptions, references, metadata,
		scopes, keys, fingerprints, reverses, holds, effective, created)
}

func (b *book) queueMetadata(writes *pgx.Batch) {
	var businesses []models.BusinessID
	var keys, values []string
	var ids []models.TransactionID
	for i := range b.transactions {
		t := &b.transactions[i]
		for key, value := range t.Metadata {
			businesses, ids = append(businesses, t.BusinessID), append(ids, t.ID)
			keys, values = append(keys, key), append(values, value)
		}
	}
	if len(keys) > 0 {
		writes.Queue(insertMetadataSQL, businesses, keys, values, ids)
	}
}

func (b *book) queueEntries(writes *pgx.Batch) {
	n := len(b.entries)
	businesses, accounts := make([]models.BusinessID, n), make([]models.AccountID, n)
	transactions := make([]models.TransactionID, n)
	sequences, amounts, balances := make([]int64, n), make([]int64, n), make([]int64, n)
	created := make([]time.Time, n)
	for i, e := range b.entries {
		businesses[i], accounts[i], sequences[i] = e.BusinessID, e.AccountID, e.Sequence
		transactions[i], amounts[i], balances[i] = e.TransactionID, e.Amount, e.BalanceAfter
		created[i] = e.CreatedAt
	}
	writes.Queue(insertEntriesSQL, businesses, accounts, sequences, transactions, amounts, balances, created)
}
