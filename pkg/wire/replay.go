package wire

import "github.com/txn-service/txn/pkg/models"

// Replay is a wish to send deliveries again, and how far that is. One of the
// first three fields after the id says what is meant; without any it is what
// failed of the business.
type Replay struct {
	ID         models.ReplayID     `json:"id"`
	Status     models.ReplayStatus `json:"status"`
	DeliveryID *models.DeliveryID  `json:"delivery_id"`
	EventID    *models.EventID     `json:"event_id"`
	WebhookID  *models.WebhookID   `json:"webhook_id"`
	// Since and Until are about when the events were created.
	Since *Time `json:"since"`
	Until Time  `json:"until"`
	// EventTypes is null for all.
	EventTypes *[]string `json:"event_types"`
	FailedOnly bool      `json:"failed_only"`
	// Rate is in deliveries per second.
	Rate float64 `json:"rate"`
	// Total is what was counted beforehand, null when nothing was.
	Total *int64 `json:"total"`
	ReplayCount
	FailureReason *string `json:"failure_reason"`
	CreatedAt     Time    `json:"created_at"`
	StartedAt     *Time   `json:"started_at"`
	FinishedAt    *Time   `json:"finished_at"`
}

// ReplayCount is what a replay has found and done so far, or would find.
type ReplayCount struct {
	// Matched deliveries are meant: those replayed and those pending.
	Matched int64 `json:"matched"`
	// Missing is the part of matched that the endpoint never had before.
	Missing  int64 `json:"missing"`
	Replayed int64 `json:"replayed"`
	// Pending had not ended, so that there was nothing to do.
	Pending int64 `json:"pending"`
	// SkippedWebhooks are endpoints left out because they are disabled.
	SkippedWebhooks int64 `json:"skipped_webhooks"`
}

// ReplayDryRun is the answer to a replay that is only counted.
type ReplayDryRun struct {
	DryRun bool `json:"dry_run"`
	ReplayCount
}

// NewReplay converts a row.
func NewReplay(r models.Replay) Replay {
	shape := Replay{
		ID: r.ID, Status: r.Status, DeliveryID: r.DeliveryID, EventID: r.EventID, WebhookID: r.WebhookID,
		Since: timeOrNil(r.Since), Until: Time(r.Until), FailedOnly: r.FailedOnly, Rate: r.Rate,
		Total: r.Total, ReplayCount: newReplayCount(r.ReplayCount), FailureReason: r.FailureReason,
		CreatedAt: Time(r.CreatedAt), StartedAt: timeOrNil(r.StartedAt), FinishedAt: timeOrNil(r.FinishedAt),
	}
	if r.EventTypes != nil {
		shape.EventTypes = (*[]string)(&r.EventTypes)
	}
	return shape
}

// NewReplayDryRun converts what a count has found.
func NewReplayDryRun(c models.ReplayCount) ReplayDryRun {
	return ReplayDryRun{DryRun: true, ReplayCount: newReplayCount(c)}
}

func newReplayCount(c models.ReplayCount) ReplayCount {
	return ReplayCount{Matched: c.Matched, Missing: c.Missing, Replayed: c.Replayed, Pending: c.Pending, SkippedWebhooks: c.Skipped}
}
