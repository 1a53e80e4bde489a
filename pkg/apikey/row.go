package apikey

import (
	"database/sql/driver"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// row is models.APIKey as GORM can map it: GORM takes a slice for a relation
// unless its type names a column type.
type row struct {
	BusinessID models.BusinessID `gorm:"primaryKey"`
	ID         models.APIKeyID   `gorm:"primaryKey"`
	Name       string
	Prefix     string
	KeyHash    []byte
	Scopes     scopesColumn
	ReplacesID *models.APIKeyID
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
	CreatedAt  time.Time
}

// TableName names the table for GORM.
func (row) TableName() string { return models.APIKey{}.TableName() }

func rowOf(k models.APIKey) row {
	return row{
		BusinessID: k.BusinessID, ID: k.ID, Name: k.Name, Prefix: k.Prefix, KeyHash: k.KeyHash,
		Scopes: scopesColumn(k.Scopes), ReplacesID: k.ReplacesID, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt,
		LastUsedAt: k.LastUsedAt, CreatedAt: k.CreatedAt,
	}
}

func (r row) key() models.APIKey {
	return models.APIKey{
		BusinessID: r.BusinessID, ID: r.ID, Name: r.Name, Prefix: r.Prefix, KeyHash: r.KeyHash,
		Scopes: models.TextList(r.Scopes), ReplacesID: r.ReplacesID, ExpiresAt: r.ExpiresAt, RevokedAt: r.RevokedAt,
		LastUsedAt: r.LastUsedAt, CreatedAt: r.CreatedAt,
	}
}

type scopesColumn models.TextList

// GormDataType names the column type.
func (scopesColumn) GormDataType() string { return "text[]" }

// Value writes text[] (driver.Valuer).
func (c scopesColumn) Value() (driver.Value, error) { return models.TextList(c).Value() }

// Scan reads text[] (sql.Scanner).
func (c *scopesColumn) Scan(src any) error { return (*models.TextList)(c).Scan(src) }
