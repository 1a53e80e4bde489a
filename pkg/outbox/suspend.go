package outbox

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
)

// As Pause, for all lanes of a business, in the order in which everybody locks
// several.
const suspendLanesSQL = `WITH locked AS MATERIALIZED (
    SELECT business_id, webhook_id FROM webhook_lanes WHERE business_id = @business AND blocked_until < 'infinity'
    ORDER BY business_id, webhook_id FOR NO KEY UPDATE
)
UPDATE webhook_lanes l SET blocked_until = 'infinity', config_version = l.config_version + 1,
    due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > now() THEN l.due_at ELSE 'infinity' END
FROM locked k WHERE l.business_id = k.business_id AND l.webhook_id = k.webhook_id`

// SuspendLanes stops sending to all endpoints of a business, in the transaction
// that suspends it; deliveries keep gathering, and what is in flight finishes.
func SuspendLanes(tx *gorm.DB, business models.BusinessID) error {
	return changeLanes(tx, suspendLanesSQL, business)
}

// As Resume, for the lanes that are blocked by nothing but the suspension.
const resumeLanesSQL = `WITH locked AS MATERIALIZED (
    SELECT l.business_id, l.webhook_id FROM webhook_lanes l
    JOIN webhooks w ON w.business_id = l.business_id AND w.id = l.webhook_id
    WHERE l.business_id = @business AND l.blocked_until = 'infinity' AND w.status = 'active' AND w.deleted_at IS NULL
    ORDER BY l.business_id, l.webhook_id FOR NO KEY UPDATE OF l
)
UPDATE webhook_lanes l SET blocked_until = '-infinity', config_version = l.config_version + 1, touches = l.touches + 1,
    breaker_failures = 0, breaker_resets = l.breaker_resets + 1, failing_since = NULL,
    due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > now() THEN l.due_at ELSE now() END
FROM locked k WHERE l.business_id = k.business_id AND l.webhook_id = k.webhook_id`

// ResumeLanes takes SuspendLanes back, with closed breakers, in the transaction
// that resumes the business. Paused and disabled endpoints stay so.
func ResumeLanes(tx *gorm.DB, business models.BusinessID) error {
	return changeLanes(tx, resumeLanesSQL, business)
}

func changeLanes(tx *gorm.DB, update string, business models.BusinessID) error {
	// Whoever changes an endpoint meanwhile does so before or sees the new status.
	if err := LockFanOut(tx, business); err != nil {
		return err
	}
	if err := tx.Exec(update, map[string]any{"business": business}).Error; err != nil {
		return fmt.Errorf("changing the lanes of a business: %w", err)
	}
	return notifyChanged(tx)
}
