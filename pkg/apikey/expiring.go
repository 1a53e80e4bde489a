package apikey

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/database"
)

// A key that was rotated has a successor. One that was revoked or has expired is
// none any more.
const expiringSQL = `SELECT count(*) FROM api_keys k
WHERE k.revoked_at IS NULL AND k.expires_at > now() AND k.expires_at <= now() + $1::interval
  AND NOT EXISTS (SELECT FROM api_keys s WHERE s.business_id = k.business_id AND s.replaces_id = k.id
                  AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now()))`

// CountExpiring counts the keys of all businesses that stop working within a time
// and have not been replaced. Errors are coded.
func CountExpiring(ctx context.Context, db *database.DB, within time.Duration) (int64, error) {
	var n int64
	err := db.Pool.QueryRow(ctx, expiringSQL, within).Scan(&n)
	return n, database.Coded(err)
}
