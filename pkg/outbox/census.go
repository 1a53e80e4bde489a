package outbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
)

// Those that are not active have an index, however many there are of the others.
const censusSQL = `SELECT s.status, coalesce(n, 0)
FROM unnest('{active,paused,disabled}'::text[]) AS s (status)
LEFT JOIN (
    SELECT 'active' AS status, count(*) AS n
    FROM (SELECT FROM webhooks WHERE deleted_at IS NULL AND status = 'active' LIMIT 100000) a
    UNION ALL
    SELECT status, count(*) FROM webhooks WHERE deleted_at IS NULL AND status <> 'active' GROUP BY status
) c ON c.status = s.status`

// CountEndpoints counts the endpoints of all businesses by status, the active ones
// up to 100,000. Errors are coded.
func CountEndpoints(ctx context.Context, db *database.DB) (map[string]int64, error) {
	rows, err := db.Pool.Query(ctx, censusSQL)
	if err != nil {
		return nil, database.Coded(err)
	}
	counts := make(map[string]int64)
	var status string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error {
		counts[status] = n
		return nil
	})
	return counts, database.Coded(err)
}
