package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const claimSQL = `WITH c AS MATERIALIZED (
    SELECT business_id, webhook_id FROM webhook_lanes WHERE due_at <= now()
    ORDER BY due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), l AS (
    UPDATE webhook_lanes l SET owner = $2, epoch = l.epoch + 1, due_at = now() + $3::interval
    FROM c WHERE l.business_id = ANY (ARRAY[c.business_id]) AND l.webhook_id = c.webhook_id
    RETURNING l.*
)
SELECT l.business_id, l.webhook_id, l.epoch, ` + laneConfigColumns + `
FROM l JOIN webhooks w ON w.business_id = ANY (ARRAY[l.business_id]) AND w.id = l.webhook_id`

const laneConfigColumns = `l.config_version, l.breaker_failures, l.breaker_resets, l.blocked_until > now(), l.failing_since IS NOT NULL,
    w.url, w.headers, w.secret_ciphertext,
    ARRAY(SELECT p.ciphertext FROM webhook_previous_secrets p
          WHERE p.business_id = w.business_id AND p.webhook_id = w.id AND p.expires_at > now() ORDER BY p.ciphertext),
    ARRAY(SELECT extract(epoch FROM p.expires_at - now())::float8 FROM webhook_previous_secrets p
          WHERE p.business_id = w.business_id AND p.webhook_id = w.id AND p.expires_at > now() ORDER BY p.ciphertext),
    w.ordered, w.max_concurrency, w.rate_limit`

// Claim leases up to limit lanes that are due, the longest due first. It never
// waits: lanes that someone else is working on are skipped.
func (d *Dispatcher) Claim(ctx context.Context, limit int) ([]Lane, error) {
	var lanes []Lane
	err := pipeline(ctx, d.pool, step{claimSQL, []any{limit, d.owner, Lease}, each(&lanes, scanLane)})
	return lanes, err
}

const reloadSQL = `SELECT l.business_id, l.webhook_id, l.epoch, ` + laneConfigColumns + `
FROM webhook_lanes l JOIN webhooks w ON w.business_id = l.business_id AND w.id = l.webhook_id
WHERE l.business_id = $1 AND l.webhook_id = $2 AND l.owner = $3`

// Reload reads the endpoint of a held lane again; none is returned when the lane
// is not held any more.
func (d *Dispatcher) Reload(ctx context.Context, key LaneKey) ([]Lane, error) {
	var lanes []Lane
	err := pipeline(ctx, d.pool, step{reloadSQL, []any{key.BusinessID, key.WebhookID, d.owner}, each(&lanes, scanLane)})
	return lanes, err
}

func scanLane(rows pgx.Rows, l *Lane) error {
	var previous [][]byte
	var seconds []float64
	err := rows.Scan(&l.BusinessID, &l.WebhookID, &l.Epoch, &l.ConfigVersion, &l.BreakerFailures, &l.BreakerResets, &l.Blocked, &l.Failing,
		&l.URL, &l.Headers, &l.Secret, &previous, &seconds, &l.Ordered, &l.MaxConcurrency, &l.RateLimit)
	for i, ciphertext := range previous {
		l.PreviousSecrets = append(l.PreviousSecrets, PreviousSecret{ciphertext, time.Duration(seconds[i] * float64(time.Second))})
	}
	return err
}
