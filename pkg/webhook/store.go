package webhook

import (
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// DefaultMaxConcurrency is how many requests an endpoint gets at once unless it
// says otherwise.
const DefaultMaxConcurrency = 16

// defaultMaxPerBusiness caps the endpoints of a business.
const defaultMaxPerBusiness = 50

// countLock is the class of the advisory locks that make counting the endpoints
// of a business and adding one atomic.
const countLock = 7102

// Options configure a Store.
type Options struct {
	// Keyring encrypts signing secrets. Required to create endpoints.
	Keyring *Keyring
	// AllowInsecure permits http and private addresses: development and tests only.
	AllowInsecure bool
	// MaxPerBusiness caps the endpoints of a business. Defaults to 50.
	MaxPerBusiness int
}

// Store keeps endpoints. Every method takes the database or transaction that it
// works in, so that an idempotent request can make it part of its own; methods
// that change more than one row open a transaction, or a savepoint inside one.
// Errors are coded.
type Store struct {
	options Options
}

// NewStore returns a store.
func NewStore(options Options) *Store {
	if options.MaxPerBusiness == 0 {
		options.MaxPerBusiness = defaultMaxPerBusiness
	}
	return &Store{options: options}
}

// Create adds an endpoint and returns it with its signing secret, which exists
// in clear only here. ValidationFailed for values that are not acceptable,
// LimitExceeded when the business has all the endpoints it may have.
func (s *Store) Create(db *gorm.DB, business models.BusinessID, fields Fields) (models.Webhook, string, error) {
	if s.options.Keyring == nil {
		return models.Webhook{}, "", errors.New("webhook: no keyring to encrypt secrets with")
	}
	if err := fields.check(s.options.AllowInsecure); err != nil {
		return models.Webhook{}, "", err
	}
	secret, now := newSecret(), database.Now()
	row := models.Webhook{
		BusinessID: business, ID: models.NewIDAt[models.WebhookPrefix](now), Status: models.WebhookActive,
		URL: fields.URL, Description: fields.Description, EventTypes: fields.EventTypes, Ordered: fields.Ordered,
		MaxConcurrency: fields.MaxConcurrency, RateLimit: fields.RateLimit,
		Headers: fields.Headers, Metadata: fields.Metadata, CreatedAt: now, UpdatedAt: now,
	}
	if row.MaxConcurrency == 0 {
		row.MaxConcurrency = DefaultMaxConcurrency
	}
	row.SecretCiphertext = s.options.Keyring.Seal(business, row.ID, secret)
	err := db.Transaction(func(tx *gorm.DB) error {
		if err := s.checkCount(tx, business); err != nil {
			return err
		}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("creating a webhook: %w", err)
		}
		return outbox.CreateLane(tx, business, row.ID)
	})
	if err != nil {
		return models.Webhook{}, "", database.Coded(err)
	}
	return row, FormatSecret(secret), nil
}

func (s *Store) checkCount(tx *gorm.DB, business models.BusinessID) error {
	if err := tx.Exec(`SELECT pg_advisory_xact_lock(?, hashtext(?))`, countLock, business.UUID()).Error; err != nil {
		return fmt.Errorf("counting webhooks: %w", err)
	}
	var count int64
	err := tx.Model(&models.Webhook{}).Where("business_id = ? AND deleted_at IS NULL", business).Count(&count).Error
	if err != nil {
		return fmt.Errorf("counting webhooks: %w", err)
	}
	if count >= int64(s.options.MaxPerBusiness) {
		return errs.New(errs.LimitExceeded, "a business can have at most %d webhooks", s.options.MaxPerBusiness)
	}
	return nil
}

// Get returns an endpoint, NotFound for one that is unknown, deleted or another
// business's.
func (s *Store) Get(db *gorm.DB, business models.BusinessID, id models.WebhookID) (models.Webhook, error) {
	return Get(db, business, id)
}

// Require returns NotFound unless the business has the endpoint or had it:
// deliveries of a deleted endpoint stay readable.
func Require(db *gorm.DB, business models.BusinessID, id models.WebhookID) error {
	var known bool
	err := db.Raw(`SELECT EXISTS (SELECT 1 FROM webhooks WHERE business_id = ? AND id = ?)`, business, id).Scan(&known).Error
	switch {
	case err != nil:
		return database.Coded(fmt.Errorf("looking for a webhook: %w", err))
	case !known:
		return errs.New(errs.NotFound, "no such webhook")
	default:
		return nil
	}
}

// Get is Store.Get for callers that need no store.
func Get(db *gorm.DB, business models.BusinessID, id models.WebhookID) (models.Webhook, error) {
	var row models.Webhook
	err := db.Where("business_id = ? AND id = ? AND deleted_at IS NULL", business, id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, errs.New(errs.NotFound, "no such webhook")
	}
	return row, database.Coded(err)
}

// List returns up to limit endpoints, newest first, that come after the one
// given (zero: from the start).
func List(db *gorm.DB, business models.BusinessID, after models.WebhookID, limit int) ([]models.Webhook, error) {
	query := db.Where("business_id = ? AND deleted_at IS NULL", business)
	if !after.IsZero() {
		query = query.Where("id < ?", after)
	}
	var rows []models.Webhook
	err := query.Order("id DESC").Limit(limit).Find(&rows).Error
	return rows, database.Coded(err)
}

// List is the function List.
func (s *Store) List(db *gorm.DB, business models.BusinessID, after models.WebhookID, limit int) ([]models.Webhook, error) {
	return List(db, business, after, limit)
}

// Delete hides the endpoint and ends its pending deliveries as failed. NotFound
// as for Get.
func (s *Store) Delete(db *gorm.DB, business models.BusinessID, id models.WebhookID) error {
	return database.Coded(db.Transaction(func(tx *gorm.DB) error {
		if err := outbox.LockFanOut(tx, business); err != nil {
			return err
		}
		now := database.Now()
		changed := tx.Model(&models.Webhook{}).
			Where("business_id = ? AND id = ? AND deleted_at IS NULL", business, id).
			UpdateColumns(map[string]any{"deleted_at": now, "updated_at": now})
		if changed.Error != nil {
			return fmt.Errorf("deleting a webhook: %w", changed.Error)
		}
		if changed.RowsAffected == 0 {
			return errs.New(errs.NotFound, "no such webhook")
		}
		return outbox.CloseLane(tx, business, id, "endpoint deleted")
	}))
}
