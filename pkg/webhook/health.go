package webhook

import (
	"fmt"
	"math"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/wire"
)

// healthSQL reads one lane and both ends of its queue, never all of it. The holder
// of a lane keeps its breaker in memory; that it got through shows by
// failing_since, which heartbeats clear. What has waited longest stands at one of
// the two ends: what has not been tried yet at the front, what has been tried often
// and waits for hours at the back.
const healthSQL = `SELECT
    CASE WHEN l.breaker_failures < @threshold THEN 'closed'
         WHEN l.blocked_until > now() THEN 'open'
         WHEN l.owner IS NOT NULL AND l.due_at > now() AND l.failing_since IS NULL THEN 'closed'
         ELSE 'half_open' END AS breaker,
    CASE WHEN l.blocked_until > now() AND l.blocked_until < 'infinity' THEN l.blocked_until END AS blocked_until,
    l.failing_since,
    l.recent_successes / nullif(l.recent_attempts, 0) AS success_rate,
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries
        WHERE business_id = @business AND webhook_id = @webhook AND status = 'pending' LIMIT @most) p) AS pending_count,
    (SELECT min(created_at) FROM (
        (SELECT created_at FROM webhook_deliveries
         WHERE business_id = @business AND webhook_id = @webhook AND status = 'pending'
         ORDER BY next_attempt_at, id LIMIT @sample)
        UNION ALL
        (SELECT created_at FROM webhook_deliveries
         WHERE business_id = @business AND webhook_id = @webhook AND status = 'pending'
         ORDER BY next_attempt_at DESC, id DESC LIMIT @sample)) ends) AS oldest_pending_at
FROM webhook_lanes l WHERE l.business_id = @business AND l.webhook_id = @webhook`

const (
	// maxPendingCount is where counting what is pending stops.
	maxPendingCount = 10_000
	// oldestSample is how far the oldest pending is looked for from either end.
	oldestSample = 500
)

// ReadHealth tells how deliveries to an endpoint are going. NotFound for one that
// is unknown or another business's.
func ReadHealth(db *gorm.DB, business models.BusinessID, id models.WebhookID) (wire.WebhookHealth, error) {
	var row struct {
		Breaker         string
		BlockedUntil    *time.Time
		FailingSince    *time.Time
		SuccessRate     *float64
		PendingCount    int64
		OldestPendingAt *time.Time
	}
	err := db.Raw(healthSQL, map[string]any{
		"business": business, "webhook": id,
		"threshold": outbox.BreakerThreshold, "most": maxPendingCount, "sample": oldestSample,
	}).Scan(&row).Error
	if err != nil {
		return wire.WebhookHealth{}, database.Coded(fmt.Errorf("reading the health of a webhook: %w", err))
	}
	if row.Breaker == "" {
		return wire.WebhookHealth{}, errs.New(errs.NotFound, "no such webhook")
	}
	if row.SuccessRate != nil {
		*row.SuccessRate = math.Round(*row.SuccessRate*1e4) / 1e4
	}
	return wire.NewWebhookHealth(row.Breaker, row.BlockedUntil, row.FailingSince, row.SuccessRate, row.PendingCount, row.OldestPendingAt), nil
}
