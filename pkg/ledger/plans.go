package ledger

import (
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A prepared statement keeps its plan until somebody analyses its tables, which
// autovacuum does a minute after a table was first filled. Planned while the table
// was small, where every index looks alike, the look-up of idempotency keys may walk
// all transactions of the business instead: a tenth of a second per batch after five
// thousand, seconds after a hundred thousand. The planner looks at how large a table
// is now, so a plan stays right that is made again before the table is many times as
// large as it was.

const (
	// planAge is how old a plan may be: others fill the tables too.
	planAge = 5 * time.Second
	// plannedMovements is how many movements this process may commit beside as many
	// again as it had when the plan was made.
	plannedMovements = 100
)

// planned is when the plans of a connection were made.
type planned struct {
	at        time.Time
	movements int64
}

// due says whether the plans should be made again now that the process has committed
// so many movements.
func (p planned) due(now time.Time, movements int64) bool {
	return now.Sub(p.at) >= planAge || movements >= 2*p.movements+plannedMovements
}

// plannedKey is where a connection keeps its planned.
const plannedKey = "txn/ledger: planned"

// plansAreDue says whether the connection should forget its plans, and takes note of
// that.
func (l *Ledger) plansAreDue(conn *pgconn.PgConn) bool {
	now, movements := time.Now(), l.movements.Load()
	if p, known := conn.CustomData()[plannedKey].(planned); known && !p.due(now, movements) {
		return false
	}
	conn.CustomData()[plannedKey] = planned{now, movements}
	return true
}
