package wire

import (
	"strings"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// Webhook is an endpoint. Secret is set only in the answers that create or
// rotate it, Health only in the view of a single endpoint, Headers everywhere but
// in events.
type Webhook struct {
	ID             models.WebhookID     `json:"id"`
	URL            string               `json:"url"`
	EventTypes     []string             `json:"event_types"`
	Description    *string              `json:"description"`
	Status         models.WebhookStatus `json:"status"`
	DisabledReason *string              `json:"disabled_reason"`
	Ordered        bool                 `json:"ordered"`
	MaxConcurrency int                  `json:"max_concurrency"`
	RateLimit      *int                 `json:"rate_limit"`
	Headers        map[string]string    `json:"headers,omitzero"`
	Metadata       map[string]string    `json:"metadata"`
	Secret         string               `json:"secret,omitzero"`
	Health         *WebhookHealth       `json:"health,omitzero"`
	CreatedAt      Time                 `json:"created_at"`
	UpdatedAt      Time                 `json:"updated_at"`
}

// WebhookHealth is how deliveries to an endpoint are going.
type WebhookHealth struct {
	// Breaker is closed, open (nothing is sent until BlockedUntil) or half_open (one
	// request at a time until one gets through).
	Breaker string `json:"breaker"`
	// BlockedUntil is when sending goes on after failures or a Retry-After; null when
	// nothing holds it back, and while the endpoint is paused or disabled.
	BlockedUntil *Time `json:"blocked_until"`
	// FailingSince is the first failure since the last success.
	FailingSince *Time `json:"failing_since"`
	// SuccessRate is the share of roughly the last hundred attempts that succeeded,
	// 0 to 1; null before the first.
	SuccessRate *float64 `json:"success_rate"`
	// PendingCount is how many deliveries are pending, counted up to 10,000.
	PendingCount int64 `json:"pending_count"`
	// OldestPendingAt is when the oldest of them was made.
	OldestPendingAt *Time `json:"oldest_pending_at"`
}

// NewWebhookHealth converts times.
func NewWebhookHealth(
	breaker string, blockedUntil, failingSince *time.Time, successRate *float64, pending int64, oldest *time.Time,
) WebhookHealth {
	return WebhookHealth{
		Breaker: breaker, BlockedUntil: timeOrNil(blockedUntil), FailingSince: timeOrNil(failingSince),
		SuccessRate: successRate, PendingCount: pending, OldestPendingAt: timeOrNil(oldest),
	}
}

// NewWebhook converts a row.
func NewWebhook(w models.Webhook) Webhook {
	return Webhook{
		ID: w.ID, URL: w.URL, EventTypes: w.EventTypes, Description: w.Description,
		Status: w.Status, DisabledReason: w.DisabledReason, Ordered: w.Ordered,
		MaxConcurrency: w.MaxConcurrency, RateLimit: w.RateLimit,
		Headers: metadata(w.Headers), Metadata: metadata(w.Metadata),
		CreatedAt: Time(w.CreatedAt), UpdatedAt: Time(w.UpdatedAt),
	}
}

// NewPublishedWebhook is NewWebhook for the body of an event, which goes to other
// endpoints too: without the headers and without the query of the URL, in which this
// one's owner may have put a credential.
func NewPublishedWebhook(w models.Webhook) Webhook {
	shape := NewWebhook(w)
	shape.Headers = nil
	shape.URL, _, _ = strings.Cut(w.URL, "?")
	return shape
}
