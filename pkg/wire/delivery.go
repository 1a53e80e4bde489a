package wire

import "github.com/txn-service/txn/pkg/models"

// Delivery is one event on its way to one endpoint. Attempts is set only in the
// view of a single delivery.
type Delivery struct {
	ID           models.DeliveryID     `json:"id"`
	EventID      models.EventID        `json:"event_id"`
	EventType    models.EventType      `json:"event_type"`
	WebhookID    models.WebhookID      `json:"webhook_id"`
	Status       models.DeliveryStatus `json:"status"`
	AttemptCount int                   `json:"attempt_count"`
	// Run is 1, and one more per replay.
	Run int `json:"run"`
	// NextAttemptAt is null once the delivery has ended.
	NextAttemptAt *Time     `json:"next_attempt_at"`
	FailureReason *string   `json:"failure_reason"`
	CreatedAt     Time      `json:"created_at"`
	DeliveredAt   *Time     `json:"delivered_at"`
	Attempts      []Attempt `json:"attempts,omitzero"`
}

// Attempt is one request of a delivery and its answer.
type Attempt struct {
	Number       int     `json:"number"`
	StatusCode   *int    `json:"status_code"`
	LatencyMS    int     `json:"latency_ms"`
	Error        *string `json:"error"`
	ResponseBody *string `json:"response_body"`
	Replay       bool    `json:"replay"`
	AttemptedAt  Time    `json:"attempted_at"`
}

// NewDelivery converts a row and the type of its event.
func NewDelivery(d models.Delivery, kind models.EventType) Delivery {
	shape := Delivery{
		ID: d.ID, EventID: d.EventID, EventType: kind, WebhookID: d.WebhookID, Status: d.Status,
		AttemptCount: d.AttemptCount, Run: d.Run, FailureReason: d.FailureReason, CreatedAt: Time(d.CreatedAt),
	}
	switch d.Status {
	case models.DeliveryPending:
		shape.NextAttemptAt = timeOrNil(&d.NextAttemptAt)
	case models.DeliveryDelivered:
		shape.DeliveredAt = timeOrNil(d.FinishedAt)
	case models.DeliveryFailed:
	}
	return shape
}

// NewAttempt converts a row.
func NewAttempt(a models.Attempt) Attempt {
	return Attempt{
		Number: a.Number, StatusCode: a.StatusCode, LatencyMS: a.LatencyMS, Error: a.Error,
		ResponseBody: a.ResponseBody, Replay: a.Replay, AttemptedAt: Time(a.AttemptedAt),
	}
}
