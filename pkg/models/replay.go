package models

import "time"

// ReplayPrefix is the noun of replays.
type ReplayPrefix struct{}

func (ReplayPrefix) prefix() string { return "rpl" }

// ReplayID names a replay.
type ReplayID = ID[ReplayPrefix]

// ReplayStatus is where a replay is.
type ReplayStatus string

// The states of a replay. Nobody has begun with a pending one; the last three
// are final.
const (
	ReplayPending   ReplayStatus = "pending"
	ReplayRunning   ReplayStatus = "running"
	ReplayCompleted ReplayStatus = "completed"
	ReplayFailed    ReplayStatus = "failed"
	ReplayCancelled ReplayStatus = "cancelled"
)

// Open reports whether there is something left to do.
func (s ReplayStatus) Open() bool { return s == ReplayPending || s == ReplayRunning }

// Replay is a wish to send deliveries again: one delivery, one event, or what
// failed of an endpoint or a business.
type Replay struct {
	BusinessID BusinessID `gorm:"primaryKey"`
	ID         ReplayID   `gorm:"primaryKey"`
	DeliveryID *DeliveryID
	EventID    *EventID
	WebhookID  *WebhookID
	// Since is inclusive, Until exclusive; both are about when the event happened.
	Since *time.Time
	Until time.Time
	// EventTypes narrows; nil does not.
	EventTypes TextList
	// FailedOnly leaves out events that the endpoint never had.
	FailedOnly bool
	// Rate is how many deliveries become due per second.
	Rate          float64
	Status        ReplayStatus
	FailureReason *string
	// Total is what was counted beforehand, nil when nothing was.
	Total       *int64
	ReplayCount `gorm:"embedded"`
	CreatedAt   time.Time
	StartedAt   *time.Time
	FinishedAt  *time.Time
}

// TableName names the table for GORM.
func (Replay) TableName() string { return "webhook_replays" }

// ReplayCount is what a replay has found and done so far.
type ReplayCount struct {
	// Matched deliveries are meant: those Replayed and those Pending.
	Matched int64
	// Missing is the part of Matched that the endpoint never had before.
	Missing int64
	// Replayed deliveries are pending again, or for the first time.
	Replayed int64
	// Pending had not ended, so that there was nothing to do.
	Pending int64
	// Skipped endpoints are disabled.
	Skipped int64
}
