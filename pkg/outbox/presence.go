package outbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
)

// Peers are the other dispatchers that run now.
type Peers struct {
	// Count is how many there are.
	Count int
	// Lanes is how many lanes they hold together, Fewest how many the one with the
	// fewest holds.
	Lanes, Fewest int
}

// A dispatcher that ended without taking its leave is forgotten after an hour; it
// counts for no longer than its leases.
const appearSQL = `WITH gone AS (
    DELETE FROM webhook_dispatchers WHERE id IN (
        SELECT id FROM webhook_dispatchers WHERE seen_at < now() - '1 hour'::interval FOR UPDATE SKIP LOCKED)
), me AS (
    INSERT INTO webhook_dispatchers (id, lanes, seen_at) VALUES ($1, $2, now())
    ON CONFLICT (id) DO UPDATE SET lanes = excluded.lanes, seen_at = excluded.seen_at
)
SELECT count(*)::int, coalesce(sum(lanes), 0)::int, coalesce(min(lanes), 0)::int
FROM webhook_dispatchers WHERE id <> $1 AND seen_at > now() - $3::interval`

// Appear tells the other dispatchers that this one runs and holds so many lanes,
// and returns what they have told.
func (d *Dispatcher) Appear(ctx context.Context, lanes int) (Peers, error) {
	var peers []Peers
	scan := func(rows pgx.Rows, p *Peers) error { return rows.Scan(&p.Count, &p.Lanes, &p.Fewest) }
	err := pipeline(ctx, d.pool, step{appearSQL, []any{d.owner, lanes, Lease}, each(&peers, scan)})
	if err != nil || len(peers) == 0 {
		return Peers{}, err
	}
	return peers[0], nil
}

const leaveSQL = `DELETE FROM webhook_dispatchers WHERE id = $1`

// Leave tells the other dispatchers that this one has ended.
func (d *Dispatcher) Leave(ctx context.Context) error {
	_, err := d.pool.Exec(ctx, leaveSQL, d.owner)
	return database.Coded(err)
}
