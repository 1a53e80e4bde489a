package webhook

import (
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// Patch changes an endpoint; nil leaves a field as it is.
type Patch struct {
	URL        *string
	EventTypes *[]string
	// Description is removed by a pointer to nil, and so is RateLimit.
	Description    **string
	Status         *models.WebhookStatus
	Ordered        *bool
	MaxConcurrency *int
	RateLimit      **int
	Headers        *map[string]string
	Metadata       *map[string]string
}

// disabledByOwner is the reason of an endpoint disabled by a patch.
const disabledByOwner = "disabled by its owner"

// Update applies a patch and returns the endpoint as it is then. Deliveries in
// flight finish as they began; the next ones go by the new values within two
// seconds. Another URL, or the status active, also lifts what blocks the endpoint:
// its breaker or a Retry-After. Errors as for Get and Create; InvalidState for a
// change that has to wait for a long backlog.
func (s *Store) Update(db *gorm.DB, business models.BusinessID, id models.WebhookID, patch Patch) (models.Webhook, error) {
	var row models.Webhook
	err := db.Transaction(func(tx *gorm.DB) error {
		if err := outbox.LockFanOut(tx, business); err != nil {
			return err
		}
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).
			Where("business_id = ? AND id = ? AND deleted_at IS NULL", business, id).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return errs.New(errs.NotFound, "no such webhook")
		}
		if err != nil {
			return fmt.Errorf("updating a webhook: %w", err)
		}
		before := row
		if err := s.apply(&row, patch); err != nil {
			return err
		}
		if err := tx.Select("*").UpdateColumns(&row).Error; err != nil {
			return fmt.Errorf("updating a webhook: %w", err)
		}
		return s.changeLane(tx, &before, &row, patch.Status)
	})
	return row, database.Coded(err)
}

// apply changes the row in memory, all but the status, and checks the whole.
func (s *Store) apply(row *models.Webhook, patch Patch) error {
	set(&row.URL, patch.URL)
	set(&row.Description, patch.Description)
	set(&row.Ordered, patch.Ordered)
	set(&row.MaxConcurrency, patch.MaxConcurrency)
	set(&row.RateLimit, patch.RateLimit)
	if patch.EventTypes != nil {
		row.EventTypes = *patch.EventTypes
	}
	if patch.Headers != nil {
		row.Headers = *patch.Headers
	}
	if patch.Metadata != nil {
		row.Metadata = *patch.Metadata
	}
	row.UpdatedAt = database.Now()
	statuses := []models.WebhookStatus{models.WebhookActive, models.WebhookPaused, models.WebhookDisabled}
	if patch.Status != nil && !slices.Contains(statuses, *patch.Status) {
		return errs.Invalid("status", "must be active, paused or disabled")
	}
	if row.MaxConcurrency == 0 {
		return errs.Invalid("max_concurrency", "must be from 1 to %d", MaxConcurrency)
	}
	fields := Fields{
		URL: row.URL, EventTypes: row.EventTypes, Description: row.Description, Ordered: row.Ordered,
		MaxConcurrency: row.MaxConcurrency, RateLimit: row.RateLimit, Headers: row.Headers, Metadata: row.Metadata,
	}
	// A URL that stays is not judged again: an operator's shell need not have the
	// API's settings to enable an endpoint, and the dialled address is vetted anyway.
	return fields.check(s.options.AllowInsecure || patch.URL == nil)
}

// changeLane brings lane and pending deliveries in line with the changed row.
func (s *Store) changeLane(tx *gorm.DB, before, row *models.Webhook, status *models.WebhookStatus) error {
	if row.Ordered != before.Ordered {
		if err := outbox.SetOrdered(tx, row.BusinessID, row.ID, row.Ordered); err != nil {
			return err
		}
	}
	if status == nil || *status == before.Status {
		if before.Status == models.WebhookActive && (status != nil || row.URL != before.URL) {
			// What blocks the lane was the former URL's, or has been mended.
			return outbox.Resume(tx, row.BusinessID, row.ID)
		}
		return outbox.Reconfigure(tx, row.BusinessID, row.ID)
	}
	if *status == models.WebhookDisabled {
		disabled, err := outbox.Disable(tx, row.BusinessID, row.ID, disabledByOwner)
		*row = disabled
		return err
	}
	if before.Status == models.WebhookDisabled {
		if err := refuseEnding(tx, row); err != nil {
			return err
		}
	}
	row.Status, row.DisabledReason = *status, nil
	err := tx.Model(row).Select("status", "disabled_reason").UpdateColumns(row).Error
	if err != nil {
		return fmt.Errorf("updating a webhook: %w", err)
	}
	if *status == models.WebhookPaused {
		return outbox.Pause(tx, row.BusinessID, row.ID)
	}
	return outbox.Resume(tx, row.BusinessID, row.ID)
}

// refuseEnding refuses to enable an endpoint whose backlog is still being ended:
// what it would get meanwhile would end with it.
func refuseEnding(tx *gorm.DB, row *models.Webhook) error {
	ending, err := outbox.Ending(tx, row.BusinessID, row.ID)
	if err != nil || !ending {
		return err
	}
	return errs.New(errs.InvalidState, "the deliveries that were pending when the webhook was disabled are still being ended: try again in some seconds")
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
