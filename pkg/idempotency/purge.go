package idempotency

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// Keep is how long a stored answer is replayed. The keys of movements themselves
// are kept for ever, with the movements.
const Keep = 30 * 24 * time.Hour

// purgeStep bounds the answers that one step deletes.
const purgeStep = 500

// The settings keep the look-ups on their indexes whatever the statistics say.
const purgeSettingsSQL = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('lock_timeout', '2s', true)`

const purgeSQL = `WITH x AS MATERIALIZED (
    SELECT k.business_id, k.scope, k.key
    FROM unnest($1::uuid[]) AS b (id) CROSS JOIN LATERAL (
        SELECT business_id, scope, key FROM idempotency_keys
        WHERE business_id = b.id AND created_at < now() - $2::interval
        ORDER BY business_id, created_at LIMIT $3 FOR UPDATE SKIP LOCKED) k
    LIMIT $3
)
DELETE FROM idempotency_keys k USING x
WHERE k.business_id = ANY (ARRAY[x.business_id]) AND k.scope = x.scope AND k.key = x.key`

// Purge deletes up to 500 stored answers of some businesses that are older than
// keep, and returns how many, and whether there may be more. What somebody else
// is deleting is skipped.
func Purge(ctx context.Context, db *database.DB, businesses []models.BusinessID, keep time.Duration) (deleted int64, more bool, err error) {
	err = db.InPgxTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, purgeSettingsSQL); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, purgeSQL, businesses, keep, purgeStep)
		deleted = tag.RowsAffected()
		return err
	})
	return deleted, deleted == purgeStep, err
}
