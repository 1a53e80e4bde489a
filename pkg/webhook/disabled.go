package webhook

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

const disabledSQL = `SELECT id, count(*) OVER () FROM webhooks
WHERE status = 'disabled' AND deleted_at IS NULL ORDER BY updated_at DESC LIMIT $1`

// ListDisabled returns the endpoints of all businesses that were disabled last, and
// how many are disabled. Errors are coded.
func ListDisabled(ctx context.Context, db *database.DB, limit int) (newest []models.WebhookID, total int64, err error) {
	rows, err := db.Pool.Query(ctx, disabledSQL, limit)
	if err != nil {
		return nil, 0, database.Coded(err)
	}
	var id models.WebhookID
	_, err = pgx.ForEachRow(rows, []any{&id, &total}, func() error {
		newest = append(newest, id)
		return nil
	})
	return newest, total, database.Coded(err)
}
