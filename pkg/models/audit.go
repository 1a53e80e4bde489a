package models

import (
	"encoding/json"
	"time"
)

// AuditEntry records one administrative change. Rows are only ever added.
type AuditEntry struct {
	ID         int64 `gorm:"primaryKey"`
	BusinessID *BusinessID
	// Actor is who acted: `operator:<name>` or `key:<key id>`.
	Actor  string
	Action string
	// Target is the id of what was changed.
	Target    string
	Before    json.RawMessage `gorm:"serializer:json"`
	After     json.RawMessage `gorm:"serializer:json"`
	CreatedAt time.Time
}

// TableName names the table for GORM.
func (AuditEntry) TableName() string { return "audit_log" }
