package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Release gives one held lane back. Nothing of it may be in flight or waiting to
// be completed.
type Release struct {
	LaneKey
	Epoch int64
	// Touches is what the last fetch saw.
	Touches int64
	// Block keeps the lane from being claimed for that long: breaker, Retry-After.
	Block           time.Duration
	Ordered         bool
	BreakerFailures int
	Health          Health
	Tally           Tally
}

// No wake-up is lost: if a fan-out commits before this locks the lane, touches
// differs (it is checked again after any wait for the lock) and the release is
// refused; if it locks the lane afterwards, it finds no owner and lowers due_at
// itself.
const releaseSQL = `WITH h AS MATERIALIZED (
    SELECT l.business_id, l.webhook_id, r.epoch, r.touches, r.block_s, r.ordered, r.failures, r.health,
           r.attempts, r.successes
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::float8[], $6::boolean[], $7::int[], $8::smallint[],
                $11::int[], $12::int[])
         AS r (business_id, webhook_id, epoch, touches, block_s, ordered, failures, health, attempts, successes)
    JOIN webhook_lanes l ON l.business_id = ANY (ARRAY[r.business_id]) AND l.webhook_id = r.webhook_id
         AND l.owner = $9 AND l.epoch = r.epoch AND l.touches = r.touches
    ORDER BY r.business_id, r.webhook_id FOR NO KEY UPDATE OF l
)
UPDATE webhook_lanes l SET owner = NULL, breaker_failures = h.failures, failing_since = ` + failingSince + `,
    ` + recentColumns + `,
    blocked_until = greatest(l.blocked_until, now() + make_interval(secs => h.block_s)),
    due_at = greatest(now() + make_interval(secs => h.block_s), l.blocked_until, coalesce(
        CASE WHEN h.ordered
        THEN (SELECT d.next_attempt_at FROM webhook_deliveries d
              WHERE d.business_id = l.business_id AND d.webhook_id = l.webhook_id AND d.status = 'pending' AND d.ordered
              ORDER BY d.sequence, d.event_id LIMIT 1)
        ELSE (SELECT d.next_attempt_at FROM webhook_deliveries d
              WHERE d.business_id = l.business_id AND d.webhook_id = l.webhook_id AND d.status = 'pending'
              ORDER BY d.next_attempt_at, d.id LIMIT 1)
        END, 'infinity'))
FROM h WHERE l.business_id = ANY (ARRAY[h.business_id]) AND l.webhook_id = h.webhook_id
  AND l.owner = $9 AND l.epoch = h.epoch AND l.touches = h.touches
RETURNING l.business_id, l.webhook_id, coalesce(h.health = 2 AND l.failing_since < now() - $10::interval, false), l.due_at <= now()`

// Released is a lane that was given back.
type Released struct {
	LaneKey
	// Overdue is as in Kept.
	Overdue bool
	// Due says that the lane can be claimed at once; nobody is told of it.
	Due bool
}

// Release gives lanes back and returns those that it could. One that is not
// returned is lost or has new work: fetch again.
func (d *Dispatcher) Release(ctx context.Context, releases []Release) ([]Released, error) {
	n := len(releases)
	businesses, webhooks := laneKeys(releases, func(r *Release) LaneKey { return r.LaneKey })
	epochs, touches, blocks := make([]int64, n), make([]int64, n), make([]float64, n)
	ordered, failures, health := make([]bool, n), make([]int32, n), make([]int16, n)
	attempts, successes := make([]int32, n), make([]int32, n)
	for i, r := range releases {
		epochs[i], touches[i], blocks[i] = r.Epoch, r.Touches, r.Block.Seconds()
		ordered[i], failures[i], health[i] = r.Ordered, int32(r.BreakerFailures), int16(r.Health)
		attempts[i], successes[i] = int32(r.Tally.Attempts), int32(r.Tally.Successes)
	}
	var released []Released
	scan := func(rows pgx.Rows, r *Released) error {
		return rows.Scan(&r.BusinessID, &r.WebhookID, &r.Overdue, &r.Due)
	}
	args := []any{businesses, webhooks, epochs, touches, blocks, ordered, failures, health, d.owner, failingLimit, attempts, successes}
	err := pipeline(ctx, d.pool, step{releaseSQL, args, each(&released, scan)})
	return released, err
}
