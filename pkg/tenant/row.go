package tenant

import (
	"database/sql/driver"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// row is models.Business as GORM can map it: GORM takes a map for a relation
// unless its type names a column type.
type row struct {
	ID              models.BusinessID `gorm:"primaryKey"`
	Name            string
	Status          models.BusinessStatus
	DefaultCurrency string
	Metadata        metadataColumn
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// TableName names the table for GORM.
func (row) TableName() string { return models.Business{}.TableName() }

func rowOf(b models.Business) row {
	return row{
		ID: b.ID, Name: b.Name, Status: b.Status, DefaultCurrency: b.DefaultCurrency,
		Metadata: metadataColumn(b.Metadata), CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
	}
}

func (r row) business() models.Business {
	return models.Business{
		ID: r.ID, Name: r.Name, Status: r.Status, DefaultCurrency: r.DefaultCurrency,
		Metadata: models.Metadata(r.Metadata), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

type metadataColumn models.Metadata

// GormDataType names the column type.
func (metadataColumn) GormDataType() string { return "jsonb" }

// Value writes jsonb (driver.Valuer).
func (c metadataColumn) Value() (driver.Value, error) { return models.Metadata(c).Value() }

// Scan reads jsonb (sql.Scanner).
func (c *metadataColumn) Scan(src any) error { return (*models.Metadata)(c).Scan(src) }
