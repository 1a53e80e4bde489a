package ledger

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/database"
)

// Overdue is what nobody has expired.
type Overdue struct {
	// Holds are counted up to 10,000.
	Holds int64
	// Longest is how long the first of them is overdue.
	Longest time.Duration
}

const countOverdueSQL = `SELECT count(*), coalesce(extract(epoch FROM now() - min(expires_at)), 0)::float8 FROM (
    SELECT expires_at FROM holds WHERE status = 'pending' AND expires_at IS NOT NULL AND expires_at < now() - $1::interval
    ORDER BY expires_at LIMIT 10000) overdue`

// CountOverdue counts the pending holds of all businesses that should have expired
// for longer than a grace: a dispatcher expires them within seconds, and a movement
// on their account at once. Errors are coded.
func CountOverdue(ctx context.Context, db *database.DB, grace time.Duration) (Overdue, error) {
	var o Overdue
	var seconds float64
	if err := db.Pool.QueryRow(ctx, countOverdueSQL, grace).Scan(&o.Holds, &seconds); err != nil {
		return Overdue{}, database.Coded(err)
	}
	o.Longest = time.Duration(seconds * float64(time.Second))
	return o, nil
}
