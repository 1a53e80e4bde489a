package models

import "time"

// EventType names what happened (`transaction.created`).
type EventType string

// The events that the service emits.
const (
	EventAccountCreated      EventType = "account.created"
	EventAccountUpdated      EventType = "account.updated"
	EventTransactionCreated  EventType = "transaction.created"
	EventTransactionReversed EventType = "transaction.reversed"
	EventHoldCreated         EventType = "hold.created"
	EventHoldCaptured        EventType = "hold.captured"
	EventHoldVoided          EventType = "hold.voided"
	EventHoldExpired         EventType = "hold.expired"
	EventWebhookTest         EventType = "webhook.test"
	EventWebhookDisabled     EventType = "webhook.disabled"
)

// EventTypes lists every event that the service emits.
var EventTypes = []EventType{
	EventAccountCreated, EventAccountUpdated,
	EventTransactionCreated, EventTransactionReversed,
	EventHoldCreated, EventHoldCaptured, EventHoldVoided, EventHoldExpired,
	EventWebhookTest, EventWebhookDisabled,
}

// Event is an immutable webhook event. Body holds the exact bytes that are
// signed and sent.
type Event struct {
	BusinessID BusinessID `gorm:"primaryKey"`
	ID         EventID    `gorm:"primaryKey"`
	Type       EventType
	Body       []byte
	CreatedAt  time.Time
	// TraceContext is the W3C trace context in which it was made, nil when that was
	// not sampled; see outbox.TraceContext.
	TraceContext *string
}

// TableName names the table for GORM.
func (Event) TableName() string { return "webhook_events" }
