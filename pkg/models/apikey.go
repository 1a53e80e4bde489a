package models

import "time"

// APIKey is a tenant's credential. Only the SHA-256 of the key is stored; the
// key itself exists in clear in the answer that issued it.
type APIKey struct {
	BusinessID BusinessID `gorm:"primaryKey"`
	ID         APIKeyID   `gorm:"primaryKey"`
	Name       string
	// Prefix is the beginning of the key, enough to recognise it in a list.
	Prefix     string
	KeyHash    []byte
	Scopes     TextList
	ReplacesID *APIKeyID
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
	CreatedAt  time.Time
}

// TableName names the table for GORM.
func (APIKey) TableName() string { return "api_keys" }
