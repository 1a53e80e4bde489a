package apikey

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// How long a rotated key goes on working.
const (
	DefaultGrace = 24 * time.Hour
	MaxGrace     = 30 * 24 * time.Hour
)

// Rotate issues a key with the name, the scopes and the expiry of an old one,
// which goes on working for grace, or until its own expiry if that is sooner;
// grace 0 ends it at once. It runs in the caller's transaction. Errors:
// errs.NotFound; errs.InvalidState if the old key works no more;
// errs.ValidationFailed for a grace outside 0 to MaxGrace; errs.LimitExceeded for
// twice MaxKeys that work at once.
func Rotate(
	ctx context.Context, tx *gorm.DB, actor audit.Actor, business models.BusinessID, id models.APIKeyID, grace time.Duration,
) (Issued, error) {
	if grace < 0 || grace > MaxGrace {
		return Issued{}, errs.Invalid("grace", "must be between 0 and %s", MaxGrace)
	}
	if err := lockBusiness(ctx, tx, business); err != nil {
		return Issued{}, err
	}
	old, err := lockKey(ctx, tx, business, id)
	if err != nil {
		return Issued{}, err
	}
	before := old
	if err := checkWorking(ctx, tx, old); err != nil {
		return Issued{}, err
	}
	// Room beyond the limit, so that a business at its limit can still rotate.
	if err := checkLimit(ctx, tx, business, 2*MaxKeys); err != nil {
		return Issued{}, err
	}
	issued, err := insert(ctx, tx, models.APIKey{
		BusinessID: business, Name: old.Name, Scopes: old.Scopes, ExpiresAt: old.ExpiresAt, ReplacesID: &old.ID,
	})
	if err != nil {
		return Issued{}, err
	}
	// The database's clock, which every replica judges expiry by.
	var end time.Time
	err = tx.WithContext(ctx).Raw(`UPDATE api_keys
		SET expires_at = least(expires_at, clock_timestamp() + make_interval(secs => ?))
		WHERE business_id = ? AND id = ? RETURNING expires_at`, grace.Seconds(), business, id).
		Scan(&end).Error
	if err != nil {
		return Issued{}, database.Coded(err)
	}
	old.ExpiresAt = &end
	if err := record(ctx, tx, actor, audit.KeyRotated, &before, &old); err != nil {
		return Issued{}, err
	}
	return issued, record(ctx, tx, actor, audit.KeyIssued, nil, &issued.Key)
}

// Revoke ends a key for good, on every replica within a second. Revoking a
// revoked key changes nothing. It runs in the caller's transaction. Errors:
// errs.NotFound.
func Revoke(
	ctx context.Context, tx *gorm.DB, actor audit.Actor, business models.BusinessID, id models.APIKeyID,
) (models.APIKey, error) {
	key, err := lockKey(ctx, tx, business, id)
	if err != nil || key.RevokedAt != nil {
		return key, err
	}
	before := key
	var now time.Time
	err = tx.WithContext(ctx).Raw(`UPDATE api_keys SET revoked_at = clock_timestamp()
		WHERE business_id = ? AND id = ? RETURNING revoked_at`, business, id).Scan(&now).Error
	if err != nil {
		return models.APIKey{}, database.Coded(err)
	}
	key.RevokedAt = &now
	return key, record(ctx, tx, actor, audit.KeyRevoked, &before, &key)
}

func lockKey(ctx context.Context, tx *gorm.DB, business models.BusinessID, id models.APIKeyID) (models.APIKey, error) {
	var key models.APIKey
	err := tx.WithContext(ctx).Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).
		Where("business_id = ? AND id = ?", business, id).Take(&key).Error
	return key, describe(err, id)
}

func checkWorking(ctx context.Context, tx *gorm.DB, key models.APIKey) error {
	if key.RevokedAt != nil {
		return errs.New(errs.InvalidState, "key %s is revoked", key.ID)
	}
	if key.ExpiresAt == nil {
		return nil
	}
	var expired bool
	if err := tx.WithContext(ctx).Raw(`SELECT ?::timestamptz <= clock_timestamp()`, *key.ExpiresAt).Scan(&expired).Error; err != nil {
		return database.Coded(err)
	}
	if expired {
		return errs.New(errs.InvalidState, "key %s expired at %s", key.ID, key.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return nil
}

func describe(err error, id models.APIKeyID) error {
	err = database.Coded(err)
	if errs.Is(err, errs.NotFound) {
		return errs.Wrap(err, errs.NotFound, "no key %s", id)
	}
	return err
}
