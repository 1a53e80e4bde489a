package ledger

import (
	"math/bits"

	"github.com/jackc/pgx/v5/pgconn"
)

// batchesRun is where a connection keeps how many batches it has run.
const batchesRun = "txn/ledger: batches run"

// plansAreDue counts the batches of a connection and says whether its plans should
// be made again: with the 1st, 2nd, 4th, 8th and so on.
//
// A prepared statement keeps its plan until somebody analyses its tables, which
// autovacuum does a minute after a table was first filled. Planned while the table
// was empty, where every index looks alike, the look-up of idempotency keys may
// walk all transactions of the business instead: a tenth of a second per batch
// after five thousand. The planner looks at how large a table is now, so a plan
// that is never older than half of what its connection has done stays right.
func plansAreDue(conn *pgconn.PgConn) bool {
	run, _ := conn.CustomData()[batchesRun].(uint64)
	run++
	conn.CustomData()[batchesRun] = run
	return bits.OnesCount64(run) == 1
}
