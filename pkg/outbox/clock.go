package outbox

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/database"
)

// Now reads the database's clock.
func (d *Dispatcher) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := d.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now, database.Coded(err)
}
