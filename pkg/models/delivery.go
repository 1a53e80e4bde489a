package models

import "time"

// DeliveryStatus is where a delivery is.
type DeliveryStatus string

// The states of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
)

// Delivery is one event on its way to one endpoint.
type Delivery struct {
	BusinessID BusinessID `gorm:"primaryKey"`
	ID         DeliveryID `gorm:"primaryKey"`
	EventID    EventID
	WebhookID  WebhookID
	Status     DeliveryStatus
	// Run counts how often the delivery was started: 1, and one more per replay.
	Run int
	// AttemptCount counts attempts over all runs; RunAttempt those of this run,
	// which is what the retry schedule goes by.
	AttemptCount  int
	RunAttempt    int
	NextAttemptAt time.Time
	// Sequence is the event's outbox sequence, Ordered whether the endpoint goes
	// by it.
	Sequence int64
	Ordered  bool
	// FailureReason says why a failed delivery ended.
	FailureReason *string
	CreatedAt     time.Time
	// FinishedAt is when the delivery became delivered or failed.
	FinishedAt *time.Time
}

// TableName names the table for GORM.
func (Delivery) TableName() string { return "webhook_deliveries" }

// Attempt is one request of a delivery to its endpoint, as it was answered.
type Attempt struct {
	BusinessID BusinessID `gorm:"primaryKey"`
	DeliveryID DeliveryID `gorm:"primaryKey"`
	// Number counts the delivery's attempts from 1, over all runs.
	Number int `gorm:"primaryKey"`
	Run    int
	// StatusCode is nil when no answer came.
	StatusCode *int
	LatencyMS  int
	// ResponseBody is the first 4 KB of the answer.
	ResponseBody *string
	Error        *string
	Replay       bool
	AttemptedAt  time.Time
}

// TableName names the table for GORM.
func (Attempt) TableName() string { return "webhook_attempts" }
