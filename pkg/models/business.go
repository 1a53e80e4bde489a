package models

import "time"

// BusinessStatus says whether a tenant may use the service.
type BusinessStatus string

// The states of a business.
const (
	BusinessActive    BusinessStatus = "active"
	BusinessSuspended BusinessStatus = "suspended"
)

// Business is a tenant. Every other row belongs to exactly one.
type Business struct {
	ID              BusinessID `gorm:"primaryKey"`
	Name            string
	Status          BusinessStatus
	DefaultCurrency string
	Metadata        Metadata
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// TableName names the table for GORM.
func (Business) TableName() string { return "businesses" }
