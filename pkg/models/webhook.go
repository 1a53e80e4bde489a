package models

import "time"

// WebhookStatus says whether an endpoint receives deliveries.
type WebhookStatus string

// The states of an endpoint. A paused one keeps gathering deliveries, a
// disabled one gets none.
const (
	WebhookActive   WebhookStatus = "active"
	WebhookPaused   WebhookStatus = "paused"
	WebhookDisabled WebhookStatus = "disabled"
)

// Webhook is a tenant's endpoint.
type Webhook struct {
	BusinessID     BusinessID `gorm:"primaryKey"`
	ID             WebhookID  `gorm:"primaryKey"`
	URL            string
	Description    *string
	EventTypes     TextList
	Status         WebhookStatus
	DisabledReason *string
	// SecretCiphertext is the signing secret under AES-256-GCM; the previous one
	// keeps signing until PreviousSecretExpiresAt.
	SecretCiphertext         []byte
	PreviousSecretCiphertext []byte
	PreviousSecretExpiresAt  *time.Time
	// Ordered delivers one event at a time, in commit order per account.
	Ordered bool
	// MaxConcurrency caps requests in flight to the endpoint.
	MaxConcurrency int
	// RateLimit caps requests per second; nil means no limit.
	RateLimit *int
	Headers   Metadata
	Metadata  Metadata
	CreatedAt time.Time
	UpdatedAt time.Time
	// DeletedAt hides the endpoint; its row stays while deliveries refer to it.
	DeletedAt *time.Time
}

// TableName names the table for GORM.
func (Webhook) TableName() string { return "webhooks" }
