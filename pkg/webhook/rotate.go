package webhook

import (
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// How long a rotated secret signs beside the new one.
const (
	DefaultSecretGrace = 24 * time.Hour
	MaxSecretGrace     = 7 * 24 * time.Hour
)

// maxPreviousSecrets bounds the secrets in their grace period and with them the
// signature header: 48 bytes each.
const maxPreviousSecrets = 5

// RotateSecret gives an endpoint a new signing secret, which exists in clear only
// in what is returned. The former one signs as well for the grace period, and those
// before it until theirs are over; without any, only the new one signs from then
// on. Deliveries in flight finish as they began, others follow within two seconds.
//
// ValidationFailed for a grace period outside 0 to 7 days, NotFound as for Get,
// LimitExceeded when five former secrets are in their grace period.
func (s *Store) RotateSecret(
	db *gorm.DB, business models.BusinessID, id models.WebhookID, grace time.Duration,
) (models.Webhook, string, error) {
	if s.options.Keyring == nil {
		return models.Webhook{}, "", errors.New("webhook: no keyring to encrypt secrets with")
	}
	if grace < 0 || grace > MaxSecretGrace {
		return models.Webhook{}, "", errs.Invalid("grace_period_seconds", "must be from 0 to %d", int(MaxSecretGrace.Seconds()))
	}
	secret := newSecret()
	var row models.Webhook
	err := db.Transaction(func(tx *gorm.DB) error {
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).
			Where("business_id = ? AND id = ? AND deleted_at IS NULL", business, id).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return errs.New(errs.NotFound, "no such webhook")
		}
		if err != nil {
			return fmt.Errorf("rotating a secret: %w", err)
		}
		if err := s.retire(tx, &row, grace); err != nil {
			return err
		}
		row.SecretCiphertext, row.UpdatedAt = s.options.Keyring.Seal(business, id, secret), database.Now()
		err = tx.Select("secret_ciphertext", "previous_secret_ciphertext", "previous_secret_expires_at", "updated_at").
			UpdateColumns(&row).Error
		if err != nil {
			return fmt.Errorf("rotating a secret: %w", err)
		}
		return outbox.Reconfigure(tx, business, id)
	})
	if err != nil {
		return models.Webhook{}, "", database.Coded(err)
	}
	return row, FormatSecret(secret), nil
}

const retireSQL = `INSERT INTO webhook_previous_secrets (business_id, webhook_id, ciphertext, expires_at)
VALUES (?, ?, ?, now() + make_interval(secs => ?)) RETURNING expires_at`

// retire makes the current secret a former one, under the lock of its row.
func (s *Store) retire(tx *gorm.DB, row *models.Webhook, grace time.Duration) error {
	err := tx.Exec(`DELETE FROM webhook_previous_secrets WHERE business_id = ? AND webhook_id = ? AND (expires_at <= now() OR ?)`,
		row.BusinessID, row.ID, grace == 0).Error
	if err != nil {
		return fmt.Errorf("retiring a secret: %w", err)
	}
	row.PreviousSecretCiphertext, row.PreviousSecretExpiresAt = nil, nil
	if grace == 0 {
		return nil
	}
	var live int64
	err = tx.Raw(`SELECT count(*) FROM webhook_previous_secrets WHERE business_id = ? AND webhook_id = ?`,
		row.BusinessID, row.ID).Scan(&live).Error
	if err != nil {
		return fmt.Errorf("retiring a secret: %w", err)
	}
	if live >= maxPreviousSecrets {
		return errs.New(errs.LimitExceeded,
			"%d former secrets are in their grace period: wait, or end them with grace_period_seconds 0", live)
	}
	var until time.Time
	err = tx.Raw(retireSQL, row.BusinessID, row.ID, row.SecretCiphertext, grace.Seconds()).Scan(&until).Error
	if err != nil {
		return fmt.Errorf("retiring a secret: %w", err)
	}
	// Dispatchers of the release before 0004 read the newest one here.
	row.PreviousSecretCiphertext, row.PreviousSecretExpiresAt = row.SecretCiphertext, &until
	return nil
}
