// Package tenant keeps the businesses: who may use the service, and the
// settings that are theirs.
//
// Every change writes its entry of the audit log in the same transaction.
// Functions that change something take the caller's transaction; those that
// only read take any *gorm.DB.
package tenant

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// defaultCurrency is what a business gets that names none.
const defaultCurrency = "USD"

// New describes a business to create.
type New struct {
	// Name has 1 to models.MaxName characters.
	Name string
	// DefaultCurrency is an ISO 4217 code. Defaults to USD.
	DefaultCurrency string
	Metadata        models.Metadata
}

// Create adds an active business. A bad field is errs.ValidationFailed.
func Create(ctx context.Context, tx *gorm.DB, actor audit.Actor, fields New) (models.Business, error) {
	if fields.DefaultCurrency == "" {
		fields.DefaultCurrency = defaultCurrency
	}
	now := database.Now()
	business := models.Business{
		ID: models.NewIDAt[models.BusinessPrefix](now), Name: fields.Name, Status: models.BusinessActive,
		DefaultCurrency: fields.DefaultCurrency, Metadata: fields.Metadata, CreatedAt: now, UpdatedAt: now,
	}
	if err := check(business); err != nil {
		return models.Business{}, err
	}
	if err := tx.WithContext(ctx).Create(&business).Error; err != nil {
		return models.Business{}, database.Coded(err)
	}
	return business, record(ctx, tx, actor, audit.BusinessCreated, nil, &business)
}

// Get returns a business, or errs.NotFound.
func Get(ctx context.Context, db *gorm.DB, id models.BusinessID) (models.Business, error) {
	var business models.Business
	err := db.WithContext(ctx).Where("id = ?", id).Take(&business).Error
	return business, describe(err, id)
}

// Update names the settings to change; nil leaves one as it is.
type Update struct {
	Name            *string
	DefaultCurrency *string
	// Metadata replaces all pairs.
	Metadata *models.Metadata
}

// Apply changes the settings of a business under its row lock and returns it.
// Errors: errs.NotFound, errs.ValidationFailed.
func (u Update) Apply(ctx context.Context, tx *gorm.DB, actor audit.Actor, id models.BusinessID) (models.Business, error) {
	return change(ctx, tx, actor, audit.BusinessUpdated, id, func(business *models.Business) bool {
		if u.Name != nil {
			business.Name = *u.Name
		}
		if u.DefaultCurrency != nil {
			business.DefaultCurrency = *u.DefaultCurrency
		}
		if u.Metadata != nil {
			business.Metadata = *u.Metadata
		}
		return u != Update{}
	})
}

// Suspend stops a business: from then on its keys are answered with
// errs.BusinessSuspended, on every replica within a second, and its webhooks wait
// (those in flight finish). Suspending a suspended business changes nothing.
// Errors: errs.NotFound.
func Suspend(ctx context.Context, tx *gorm.DB, actor audit.Actor, id models.BusinessID) (models.Business, error) {
	business, err := setStatus(ctx, tx, actor, audit.BusinessSuspended, id, models.BusinessSuspended)
	if err != nil {
		return business, err
	}
	return business, database.Coded(outbox.SuspendLanes(tx.WithContext(ctx), id))
}

// Resume takes a suspension back, with the delay of Suspend: what waited is sent.
// Resuming an active business changes nothing. Errors: errs.NotFound.
func Resume(ctx context.Context, tx *gorm.DB, actor audit.Actor, id models.BusinessID) (models.Business, error) {
	business, err := setStatus(ctx, tx, actor, audit.BusinessResumed, id, models.BusinessActive)
	if err != nil {
		return business, err
	}
	return business, database.Coded(outbox.ResumeLanes(tx.WithContext(ctx), id))
}

func setStatus(
	ctx context.Context, tx *gorm.DB, actor audit.Actor, action audit.Action, id models.BusinessID, status models.BusinessStatus,
) (models.Business, error) {
	return change(ctx, tx, actor, action, id, func(business *models.Business) bool {
		changed := business.Status != status
		business.Status = status
		return changed
	})
}

// change locks a business, lets edit change it and writes it back if edit says
// that there is something to write.
func change(
	ctx context.Context, tx *gorm.DB, actor audit.Actor, action audit.Action, id models.BusinessID,
	edit func(*models.Business) bool,
) (models.Business, error) {
	var business models.Business
	// NO KEY UPDATE: the tenant's rows refer to this one by foreign key, and
	// writing them must not wait for a change of settings.
	lock := clause.Locking{Strength: "NO KEY UPDATE"}
	if err := tx.WithContext(ctx).Clauses(lock).Where("id = ?", id).Take(&business).Error; err != nil {
		return models.Business{}, describe(err, id)
	}
	before := business
	if !edit(&business) {
		return business, nil
	}
	if err := check(business); err != nil {
		return models.Business{}, err
	}
	business.UpdatedAt = database.Now()
	// UpdateColumns, because Updates would set updated_at to a time of its own.
	err := tx.WithContext(ctx).Model(&models.Business{}).Where("id = ?", id).
		Select("Name", "Status", "DefaultCurrency", "Metadata", "UpdatedAt").UpdateColumns(business).Error
	if err != nil {
		return models.Business{}, database.Coded(err)
	}
	return business, record(ctx, tx, actor, action, &before, &business)
}

func check(business models.Business) error {
	var v errs.Validation
	models.CheckLength(&v, "name", business.Name, 1, models.MaxName)
	_, known := models.CurrencyExponent(business.DefaultCurrency)
	v.Check(known, "default_currency", "must be an ISO 4217 currency code such as USD")
	business.Metadata.Check(&v, "metadata")
	return v.Err()
}

func describe(err error, id models.BusinessID) error {
	err = database.Coded(err)
	if errs.Is(err, errs.NotFound) {
		return errs.Wrap(err, errs.NotFound, "no business %s", id)
	}
	return err
}
