package outbox

import (
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// fanOutLock is the class of the advisory locks that make the fan-out of a part
// exclusive; the second key is the part.
const fanOutLock = 7101

// BreakerThreshold is how many failures in a row open an endpoint's circuit
// breaker.
const BreakerThreshold = 5

// LockFanOut waits for the running fan-out step of the business's part and keeps
// the next one out until the caller's transaction ends: what the transaction
// changes about an endpoint then holds for every delivery, made before or after.
// It is the first lock of a transaction that changes an endpoint, before the
// endpoint's row, its lane and its deliveries.
func LockFanOut(tx *gorm.DB, business models.BusinessID) error {
	if err := tx.Exec(`SELECT pg_advisory_xact_lock(?, ?)`, fanOutLock, PartOf(business)).Error; err != nil {
		return fmt.Errorf("locking the fan-out: %w", err)
	}
	return nil
}

// A suspension that commits at the same moment waits for the lane or is seen.
const createLaneSQL = `INSERT INTO webhook_lanes (business_id, webhook_id, blocked_until)
SELECT id, CAST(? AS uuid), CAST(CASE status WHEN 'suspended' THEN 'infinity' ELSE '-infinity' END AS timestamptz)
FROM businesses WHERE id = ? FOR SHARE`

// CreateLane adds the lane of a new endpoint, in the transaction that creates it.
func CreateLane(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) error {
	err := tx.Exec(createLaneSQL, webhook, business).Error
	if err != nil {
		return fmt.Errorf("creating a lane: %w", err)
	}
	return nil
}

const reconfigureLaneSQL = `UPDATE webhook_lanes SET config_version = config_version + 1
WHERE business_id = ? AND webhook_id = ?`

// Reconfigure makes the lane's holder read the endpoint again: at once when the
// notification reaches it, within a heartbeat otherwise.
func Reconfigure(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) error {
	return changeLane(tx, reconfigureLaneSQL, business, webhook)
}

// A lane that is held keeps its lease: the holder finishes what is in flight,
// and its release honours blocked_until.
const pauseLaneSQL = `UPDATE webhook_lanes
SET blocked_until = 'infinity', config_version = config_version + 1,
    due_at = CASE WHEN owner IS NOT NULL AND due_at > now() THEN due_at ELSE 'infinity' END
WHERE business_id = ? AND webhook_id = ?`

// Pause stops sending to an endpoint; deliveries keep gathering.
func Pause(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) error {
	return changeLane(tx, pauseLaneSQL, business, webhook)
}

// A lane of a suspended business stays blocked: ResumeLanes opens it.
const resumeLaneSQL = `UPDATE webhook_lanes l
SET blocked_until = b.until, config_version = config_version + 1, touches = touches + 1,
    breaker_failures = 0, breaker_resets = breaker_resets + 1, failing_since = NULL,
    due_at = CASE WHEN owner IS NOT NULL AND due_at > now() THEN due_at ELSE greatest(now(), b.until) END
FROM (SELECT id, CAST(CASE status WHEN 'suspended' THEN 'infinity' ELSE '-infinity' END AS timestamptz) AS until FROM businesses) b
WHERE b.id = l.business_id AND l.business_id = ? AND l.webhook_id = ?`

// Resume starts sending to an endpoint again, paused, disabled or blocked by its
// breaker or a Retry-After, with a closed breaker. A holder that opens the breaker
// at this moment is refused its release, for it has not seen the touch, and hears
// of the reset before it tries again.
func Resume(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) error {
	return changeLane(tx, resumeLaneSQL, business, webhook)
}

// maxReordered bounds the deliveries that SetOrdered changes while the fan-out of
// other tenants waits.
const maxReordered = 10_000

// SetOrdered changes the order of what is still pending; InvalidState when that is
// more than 10,000 deliveries. The caller holds LockFanOut and has changed the
// endpoint itself in the same transaction.
func SetOrdered(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID, ordered bool) error {
	var tooMany bool
	err := tx.Raw(`SELECT count(*) > ? FROM (SELECT FROM webhook_deliveries
		WHERE business_id = ? AND webhook_id = ? AND status = 'pending' LIMIT ?) pending`,
		maxReordered, business, webhook, maxReordered+1).Scan(&tooMany).Error
	if err != nil {
		return fmt.Errorf("changing the order of deliveries: %w", err)
	}
	if tooMany {
		return errs.New(errs.InvalidState,
			"more than %d deliveries are pending: change ordered when they have ended", maxReordered)
	}
	err = tx.Exec(`UPDATE webhook_deliveries SET ordered = ?
		WHERE business_id = ? AND webhook_id = ? AND status = 'pending' AND ordered <> ?`,
		ordered, business, webhook, ordered).Error
	if err != nil {
		return fmt.Errorf("changing the order of deliveries: %w", err)
	}
	return Reconfigure(tx, business, webhook)
}

// closeLaneSQL takes the lane away from its holder: whatever it still completes
// finds nothing pending.
const closeLaneSQL = `UPDATE webhook_lanes
SET owner = NULL, epoch = epoch + 1, config_version = config_version + 1, blocked_until = 'infinity', due_at = 'infinity'
WHERE business_id = ? AND webhook_id = ?`

// CloseLane ends an endpoint's pending deliveries as failed, with the reason, and
// its lane. Of a long backlog it ends the first thousand and leaves the rest to
// EndDeliveries, because its locks keep the fan-out of other tenants waiting. The
// caller holds LockFanOut and has disabled or deleted the endpoint in the same
// transaction, which must commit synchronously.
func CloseLane(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID, reason string) error {
	// The lane first, then the deliveries: the order of every other statement.
	if err := changeLane(tx, closeLaneSQL, business, webhook); err != nil {
		return err
	}
	_, err := endPending(tx, business, webhook, reason)
	return err
}

// Disable ends an endpoint for the reason given, with a webhook.disabled event
// for the business's other endpoints. It returns NotFound for an unknown or
// deleted endpoint and does nothing to one that is disabled already.
func Disable(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID, reason string) (models.Webhook, error) {
	return disableIf(tx, business, webhook, reason, func(*gorm.DB, *models.Webhook) (bool, error) { return true, nil })
}

// DisableAt is Disable for an endpoint that still has the URL: another one has done
// nothing to deserve it.
func DisableAt(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID, url, reason string) (models.Webhook, error) {
	return disableIf(tx, business, webhook, reason, func(_ *gorm.DB, row *models.Webhook) (bool, error) { return row.URL == url, nil })
}

// DisableOverdue is Disable for an endpoint that has only failed for five days: one
// that has succeeded meanwhile, or whose owner has changed or resumed it, begins
// anew.
func DisableOverdue(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) (models.Webhook, error) {
	return disableIf(tx, business, webhook, "it has only failed for five days", func(tx *gorm.DB, _ *models.Webhook) (overdue bool, err error) {
		err = tx.Raw(`SELECT coalesce(failing_since < now() - make_interval(secs => ?), false) FROM webhook_lanes
			WHERE business_id = ? AND webhook_id = ?`, failingLimit.Seconds(), business, webhook).Scan(&overdue).Error
		return overdue, err
	})
}

func disableIf(
	tx *gorm.DB, business models.BusinessID, webhook models.WebhookID, reason string, condition func(*gorm.DB, *models.Webhook) (bool, error),
) (models.Webhook, error) {
	var row models.Webhook
	err := tx.Transaction(func(tx *gorm.DB) error {
		if err := LockFanOut(tx, business); err != nil {
			return err
		}
		err := tx.Raw(`SELECT * FROM webhooks WHERE business_id = ? AND id = ? AND deleted_at IS NULL FOR UPDATE`,
			business, webhook).Scan(&row).Error
		if err != nil {
			return fmt.Errorf("disabling: %w", err)
		}
		if row.ID.IsZero() {
			return errs.New(errs.NotFound, "no such webhook")
		}
		if row.Status == models.WebhookDisabled {
			return nil
		}
		met, err := condition(tx, &row)
		switch {
		case err != nil:
			return fmt.Errorf("disabling: %w", err)
		case !met:
			return nil
		}
		return disable(tx, &row, reason)
	})
	return row, database.Coded(err)
}

func disable(tx *gorm.DB, row *models.Webhook, reason string) error {
	now := database.Now()
	row.Status, row.DisabledReason, row.UpdatedAt = models.WebhookDisabled, &reason, now
	err := tx.Exec(`UPDATE webhooks SET status = ?, disabled_reason = ?, updated_at = ? WHERE business_id = ? AND id = ?`,
		row.Status, reason, now, row.BusinessID, row.ID).Error
	if err != nil {
		return fmt.Errorf("disabling: %w", err)
	}
	if err := CloseLane(tx, row.BusinessID, row.ID, "endpoint disabled: "+reason); err != nil {
		return err
	}
	return appendObject(tx, row.BusinessID, models.EventWebhookDisabled, now, wire.NewPublishedWebhook(*row))
}

func appendObject(tx *gorm.DB, business models.BusinessID, kind models.EventType, at time.Time, object any) error {
	event, err := wire.NewEvent(business, kind, at, object)
	if err != nil {
		return err
	}
	return Append(tx, event)
}

// changeLane runs an update of one lane and tells its holder when it commits.
// Changes of endpoints are rare: the notification does not slow anything.
func changeLane(tx *gorm.DB, update string, business models.BusinessID, webhook models.WebhookID) error {
	if err := tx.Exec(update, business, webhook).Error; err != nil {
		return fmt.Errorf("changing a lane: %w", err)
	}
	return notifyChanged(tx)
}

// notifyChanged makes every dispatcher look at its lanes, and for due ones, when
// the transaction commits.
func notifyChanged(tx *gorm.DB) error {
	if err := tx.Exec(`SELECT pg_notify(?, ?)`, laneChannel, laneChanged).Error; err != nil {
		return fmt.Errorf("changing a lane: %w", err)
	}
	return nil
}
