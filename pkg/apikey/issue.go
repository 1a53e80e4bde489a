package apikey

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// MaxKeys bounds the keys of a business that still work: far more than machines
// and people need, and little enough that a stolen key with keys:manage cannot
// fill the table or the cache of every replica.
const MaxKeys = 1000

// New describes a key to issue.
type New struct {
	// Name has 1 to models.MaxName characters.
	Name string
	// Scopes defaults to DefaultScopes.
	Scopes []Scope
	// ExpiresAt is when the key stops working; nil means never.
	ExpiresAt *time.Time
}

// Issued is a new key. Secret is the key itself and exists nowhere else: it must
// be handed over now, and never logged.
type Issued struct {
	Key    models.APIKey
	Secret string
}

// Issue creates a key in the caller's transaction. Errors: errs.NotFound for the
// business, errs.ValidationFailed, errs.LimitExceeded beyond MaxKeys.
func Issue(ctx context.Context, tx *gorm.DB, actor audit.Actor, business models.BusinessID, fields New) (Issued, error) {
	scopes, err := fields.check()
	if err != nil {
		return Issued{}, err
	}
	if err := lockBusiness(ctx, tx, business); err != nil {
		return Issued{}, err
	}
	if err := checkLimit(ctx, tx, business, MaxKeys); err != nil {
		return Issued{}, err
	}
	issued, err := insert(ctx, tx, models.APIKey{
		BusinessID: business, Name: fields.Name, Scopes: scopeTexts(scopes), ExpiresAt: truncate(fields.ExpiresAt),
	})
	if err != nil {
		return Issued{}, err
	}
	return issued, record(ctx, tx, actor, audit.KeyIssued, nil, &issued.Key)
}

func (n New) check() ([]Scope, error) {
	var v errs.Validation
	models.CheckLength(&v, "name", n.Name, 1, models.MaxName)
	v.Check(n.ExpiresAt == nil || n.ExpiresAt.After(time.Now()), "expires_at", "must be in the future")
	if err := v.Err(); err != nil {
		return nil, err
	}
	return ParseScopes(scopeTexts(n.Scopes))
}

// lockBusiness takes the row lock that orders the changes to a business's keys
// against each other.
func lockBusiness(ctx context.Context, tx *gorm.DB, business models.BusinessID) error {
	var found []models.BusinessID
	err := tx.WithContext(ctx).Raw(`SELECT id FROM businesses WHERE id = ? FOR NO KEY UPDATE`, business).Scan(&found).Error
	if err != nil {
		return database.Coded(err)
	}
	if len(found) == 0 {
		return errs.New(errs.NotFound, "no business %s", business)
	}
	return nil
}

func checkLimit(ctx context.Context, tx *gorm.DB, business models.BusinessID, most int64) error {
	var working int64
	err := tx.WithContext(ctx).Model(&models.APIKey{}).
		Where("business_id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())", business).
		Count(&working).Error
	if err != nil {
		return database.Coded(err)
	}
	if working >= most {
		return errs.New(errs.LimitExceeded, "a business may have %d working keys: revoke some that are not used any more", most)
	}
	return nil
}

// insert makes a key and completes its row.
func insert(ctx context.Context, tx *gorm.DB, key models.APIKey) (Issued, error) {
	secret := generate()
	sum := hashOf(secret)
	key.CreatedAt = database.Now()
	key.ID = models.NewIDAt[models.APIKeyPrefix](key.CreatedAt)
	key.Prefix, key.KeyHash = display(secret), sum[:]
	if err := tx.WithContext(ctx).Create(&key).Error; err != nil {
		return Issued{}, database.Coded(err)
	}
	return Issued{Key: key, Secret: secret}, nil
}

func truncate(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	micros := t.UTC().Truncate(time.Microsecond)
	return &micros
}
