package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn-service/txn/pkg/models"
)

// What a batch reads before it judges. Every statement is its own: under READ
// COMMITTED the look-ups after the lock see all that the lock waited for.

// lockSQL locks in order of (business_id, id), in which all transactions of the
// service lock accounts, so that account locks cannot deadlock: the lock step
// works on the sorted rows.
const lockSQL = `SELECT a.business_id, a.id, a.currency, a.status, a.balance, a.held, a.overdraft_limit, a.version, a.last_entry_at
FROM unnest($1::uuid[], $2::uuid[]) AS k (business_id, id)
JOIN business_accounts a ON a.business_id = k.business_id AND a.id = k.id
ORDER BY a.business_id, a.id FOR UPDATE OF a`

const clockSQL = `SELECT clock_timestamp()`

// knownSQL finds the movements that stand under keys, almost always none. What
// it takes to show them is read by replaysSQL then: opening five tables for every
// batch would double the cost of the look-up.
const (
	knownSQL   = `SELECT k.n, t.id, t.fingerprint ` + byKeySQL
	replaysSQL = `SELECT k.n, ` + transactionColumns + ` ` + byKeySQL + transactionJoins

	byKeySQL = `FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS k (business_id, scope, key, n)
JOIN transactions t ON t.business_id = k.business_id AND t.idempotency_scope = k.scope AND t.idempotency_key = k.key`
)

const referencesSQL = `SELECT t.business_id, t.reference
FROM unnest($1::uuid[], $2::text[]) AS k (business_id, reference)
JOIN transactions t ON t.business_id = k.business_id AND t.reference = k.reference`

func newBook(operations int) *book {
	return &book{
		accounts:     make(map[accountKey]*account, 2*operations),
		movements:    make(map[movementKey]*movement, operations),
		references:   make(map[referenceKey]struct{}),
		holds:        make(map[holdKey]*hold),
		holdNames:    make(map[holdName]*hold),
		reversals:    make(map[transactionKey]*reversal),
		answers:      make(map[answerKey]*storedAnswer),
		transactions: make([]models.Transaction, 0, operations),
		entries:      make([]models.Entry, 0, 2*operations),
		events:       make([]event, 0, operations),
		touched:      make([]*account, 0, 2*operations),
		undo:         make([]undo, 0, 3*operations),
	}
}

func (b *book) queueLocks(reads *pgx.Batch, keys []accountKey, mode lockMode) {
	distinct := make(map[accountKey]struct{}, len(keys))
	businesses, ids := make([]models.BusinessID, 0, len(keys)), make([]models.AccountID, 0, len(keys))
	for _, key := range keys {
		if _, seen := distinct[key]; !seen {
			distinct[key] = struct{}{}
			businesses, ids = append(businesses, key.business), append(ids, key.id)
		}
	}
	sql := lockSQL
	if mode == skipLocked {
		sql += " SKIP LOCKED"
	}
	reads.Queue(sql, businesses, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var a account
			var lastEntryAt *time.Time
			err := rows.Scan(&a.business, &a.id, &a.currency, &a.status, &a.balance, &a.held, &a.overdraftLimit, &a.version, &lastEntryAt)
			if err != nil {
				return fmt.Errorf("reading a locked account: %w", err)
			}
			if lastEntryAt != nil {
				a.lastEntryAt = lastEntryAt.UTC()
			}
			b.accounts[accountKey{a.business, a.id}] = &a
		}
		return rows.Err()
	})
}

func (b *book) queueClock(reads *pgx.Batch) {
	reads.Queue(clockSQL).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&b.now)
		b.now = b.now.UTC()
		return err
	})
}

func (b *book) queueKnown(reads *pgx.Batch, keys []movementKey) {
	if len(keys) == 0 {
		return
	}
	reads.Queue(knownSQL, keyArrays(keys)...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var n int64
			var fingerprint []byte
			known := &movement{}
			if err := rows.Scan(&n, &known.id, &fingerprint); err != nil {
				return fmt.Errorf("reading a known key: %w", err)
			}
			copy(known.fingerprint[:], fingerprint)
			b.movements[keys[n-1]] = known
		}
		return rows.Err()
	})
}

// keyArrays are the arguments of byKeySQL.
func keyArrays(keys []movementKey) []any {
	businesses, scopes, names := make([]models.BusinessID, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		businesses[i], scopes[i], names[i] = key.business, string(key.scope), key.key
	}
	return []any{businesses, scopes, names}
}

// loadReplays reads the answers of the movements that queueKnown found.
func (b *book) loadReplays(ctx context.Context, conn *pgxpool.Conn) error {
	if len(b.movements) == 0 {
		return nil
	}
	keys := slices.Collect(maps.Keys(b.movements))
	rows, err := conn.Query(ctx, replaysSQL, keyArrays(keys)...)
	if err != nil {
		return fmt.Errorf("reading replays: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		t, err := scanTransaction(rows, &n)
		if err != nil {
			return err
		}
		b.movements[keys[n-1]].body = rendered(t.firstView())
	}
	return rows.Err()
}

func (b *book) queueReferences(reads *pgx.Batch, names []referenceKey) {
	if len(names) == 0 {
		return
	}
	businesses, references := make([]models.BusinessID, len(names)), make([]string, len(names))
	for i, name := range names {
		businesses[i], references[i] = name.business, name.reference
	}
	reads.Queue(referencesSQL, businesses, references).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var name referenceKey
			if err := rows.Scan(&name.business, &name.reference); err != nil {
				return fmt.Errorf("reading a reference: %w", err)
			}
			b.references[name] = struct{}{}
		}
		return rows.Err()
	})
}
