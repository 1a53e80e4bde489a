package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

const holdColumns = `h.business_id, h.id, h.account_id, h.destination_account_id, h.amount, h.captured_amount,
    h.currency, h.status, h.description, h.metadata, h.idempotency_key, h.fingerprint, h.expires_at, h.created_at, h.updated_at`

func scanHold(row pgx.CollectableRow) (*hold, error) {
	var h hold
	err := row.Scan(&h.BusinessID, &h.ID, &h.AccountID, &h.DestinationAccountID, &h.Amount, &h.CapturedAmount,
		&h.Currency, &h.Status, &h.Description, &h.Metadata, &h.IdempotencyKey, &h.Fingerprint, &h.ExpiresAt, &h.CreatedAt, &h.UpdatedAt)
	if err != nil {
		return nil, fmt.Errorf("reading a hold: %w", err)
	}
	return &h, nil
}

const holdsSQL = `SELECT ` + holdColumns + ` FROM unnest($1::uuid[], $2::uuid[]) AS k (business_id, id)
JOIN holds h ON h.business_id = k.business_id AND h.id = k.id`

const holdNamesSQL = `SELECT ` + holdColumns + ` FROM unnest($1::uuid[], $2::text[]) AS k (business_id, key)
JOIN holds h ON h.business_id = k.business_id AND h.idempotency_key = k.key`

func (b *book) queueHolds(reads *pgx.Batch, keys []holdKey) {
	if len(keys) == 0 {
		return
	}
	businesses, ids := make([]models.BusinessID, len(keys)), make([]models.HoldID, len(keys))
	for i, key := range keys {
		businesses[i], ids[i] = key.business, key.id
	}
	reads.Queue(holdsSQL, businesses, ids).Query(b.loadHolds)
}

func (b *book) queueHoldNames(reads *pgx.Batch, names []holdName) {
	if len(names) == 0 {
		return
	}
	businesses, keys := make([]models.BusinessID, len(names)), make([]string, len(names))
	for i, name := range names {
		businesses[i], keys[i] = name.business, name.key
	}
	reads.Queue(holdNamesSQL, businesses, keys).Query(b.loadHolds)
}

func (b *book) loadHolds(rows pgx.Rows) error {
	for rows.Next() {
		h, err := scanHold(rows)
		if err != nil {
			return err
		}
		if known := b.holds[h.key()]; known != nil {
			h = known
		}
		b.holds[h.key()] = h
		b.holdNames[holdName{h.BusinessID, h.IdempotencyKey}] = h
	}
	return rows.Err()
}

const copyHoldsSQL = `COPY holds (business_id, id, account_id, destination_account_id, amount, captured_amount,
    currency, status, description, metadata, idempotency_key, fingerprint, expires_at, created_at, updated_at) FROM STDIN (FORMAT binary)`

const updateHoldsSQL = `UPDATE holds h SET captured_amount = u.captured_amount, status = u.status, updated_at = u.updated_at
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[])
    AS u (business_id, id, captured_amount, status, updated_at)
WHERE h.business_id = u.business_id AND h.id = u.id`

func (b *book) writeHolds(p *database.Pipeline) {
	if len(b.newHolds) > 0 {
		p.Copy(copyHoldsSQL, b.writeNewHolds)
	}
	n := len(b.oldHolds)
	if n == 0 {
		return
	}
	businesses, ids := make([]models.BusinessID, n), make([]models.HoldID, n)
	captured, statuses, updated := make([]int64, n), make([]string, n), make([]time.Time, n)
	for i, h := range b.oldHolds {
		businesses[i], ids[i] = h.BusinessID, h.ID
		captured[i], statuses[i], updated[i] = h.CapturedAmount, string(h.Status), h.UpdatedAt
	}
	p.Exec(updateHoldsSQL, businesses, ids, captured, statuses, updated)
}

func (b *book) writeNewHolds(rows *database.Rows) {
	for _, h := range b.newHolds {
		rows.Row(15)
		rows.UUID(h.BusinessID)
		rows.UUID(h.ID)
		rows.UUID(h.AccountID)
		database.OptionalUUID(rows, h.DestinationAccountID)
		rows.Int64(h.Amount)
		rows.Int64(h.CapturedAmount)
		rows.Text(h.Currency)
		rows.Text(string(h.Status))
		rows.OptionalText(h.Description)
		writePairs(rows, h.Metadata)
		rows.Text(h.IdempotencyKey)
		rows.Bytes(h.Fingerprint)
		rows.OptionalTime(h.ExpiresAt)
		rows.Time(h.CreatedAt)
		rows.Time(h.UpdatedAt)
	}
}

// Hold returns one hold. Coded errors: NotFound, Unavailable.
func (l *Ledger) Hold(ctx context.Context, business models.BusinessID, id models.HoldID) (models.Hold, error) {
	rows, err := l.db.Pool.Query(ctx, `SELECT `+holdColumns+` FROM holds h WHERE h.business_id = $1 AND h.id = $2`, business, id)
	if err != nil {
		return models.Hold{}, database.Coded(err)
	}
	h, err := pgx.CollectExactlyOneRow(rows, scanHold)
	if errors.Is(err, pgx.ErrNoRows) {
		return models.Hold{}, errs.Wrap(err, errs.NotFound, "there is no hold %s", id)
	}
	if err != nil {
		return models.Hold{}, database.Coded(err)
	}
	return h.Hold, nil
}

// HoldFilter narrows a list of holds; empty fields do not.
type HoldFilter struct {
	Account models.AccountID
	Status  models.HoldStatus
}

// Holds lists holds, newest first: up to limit of them after the id (exclusive;
// zero to start). Coded errors: Unavailable.
func (l *Ledger) Holds(ctx context.Context, business models.BusinessID, filter HoldFilter, after models.HoldID, limit int) ([]models.Hold, error) {
	sql, args := filter.list(business, after, limit)
	rows, err := l.db.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, database.Coded(err)
	}
	holds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (models.Hold, error) {
		h, err := scanHold(row)
		if err != nil {
			return models.Hold{}, err
		}
		return h.Hold, nil
	})
	return holds, database.Coded(err)
}

// list is the statement of a page.
func (f HoldFilter) list(business models.BusinessID, after models.HoldID, limit int) (sql string, args []any) {
	q := newQuery(business)
	q.where("h.business_id = $1")
	if !f.Account.IsZero() {
		q.where("h.account_id = %s", f.Account)
	}
	if f.Status != "" {
		q.where("h.status = %s", string(f.Status))
	}
	if !after.IsZero() {
		q.where("h.id < %s", after)
	}
	sql = `SELECT ` + holdColumns + ` FROM holds h WHERE ` + q.all() + ` ORDER BY h.id DESC LIMIT ` + q.arg(limit)
	return sql, q.args
}
