package outbox

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Beat keeps one held lane.
type Beat struct {
	LaneKey
	Epoch  int64
	Health Health
	Tally  Tally
}

// Kept is a lane that a heartbeat still found held.
type Kept struct {
	LaneKey
	Epoch         int64
	Touches       int64
	ConfigVersion int64
	// Blocked says that the endpoint was paused or disabled meanwhile.
	Blocked bool
	// Overdue says that the endpoint has only failed for five days, and has just
	// failed again: one that had nothing to do meanwhile may be well by now.
	Overdue bool
}

const failingSince = `CASE h.health WHEN 1 THEN NULL WHEN 2 THEN coalesce(l.failing_since, now()) ELSE l.failing_since END`

const heartbeatSQL = `WITH h AS MATERIALIZED (
    SELECT l.business_id, l.webhook_id, h.epoch, h.health, h.attempts, h.successes
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $8::int[], $9::int[])
         AS h (business_id, webhook_id, epoch, health, attempts, successes)
    JOIN webhook_lanes l ON l.business_id = ANY (ARRAY[h.business_id]) AND l.webhook_id = h.webhook_id
         AND l.owner = $5 AND l.epoch = h.epoch
    ORDER BY h.business_id, h.webhook_id FOR NO KEY UPDATE OF l
)
UPDATE webhook_lanes l SET due_at = now() + $6::interval, failing_since = ` + failingSince + `,
    ` + recentColumns + `
FROM h WHERE l.business_id = ANY (ARRAY[h.business_id]) AND l.webhook_id = h.webhook_id AND l.owner = $5 AND l.epoch = h.epoch
RETURNING l.business_id, l.webhook_id, l.epoch, l.touches, l.config_version, l.blocked_until > now(),
          coalesce(h.health = 2 AND l.failing_since < now() - $7::interval, false)`

// Heartbeat renews leases. A lane that is not returned is lost: nothing more may
// be sent on it.
func (d *Dispatcher) Heartbeat(ctx context.Context, beats []Beat) ([]Kept, error) {
	businesses, webhooks := laneKeys(beats, func(b *Beat) LaneKey { return b.LaneKey })
	epochs, health := make([]int64, len(beats)), make([]int16, len(beats))
	attempts, successes := make([]int32, len(beats)), make([]int32, len(beats))
	for i, b := range beats {
		epochs[i], health[i] = b.Epoch, int16(b.Health)
		attempts[i], successes[i] = int32(b.Tally.Attempts), int32(b.Tally.Successes)
	}
	var kept []Kept
	scan := func(rows pgx.Rows, k *Kept) error {
		return rows.Scan(&k.BusinessID, &k.WebhookID, &k.Epoch, &k.Touches, &k.ConfigVersion, &k.Blocked, &k.Overdue)
	}
	args := []any{businesses, webhooks, epochs, health, d.owner, Lease, failingLimit, attempts, successes}
	err := pipeline(ctx, d.pool, step{heartbeatSQL, args, each(&kept, scan)})
	return kept, err
}
