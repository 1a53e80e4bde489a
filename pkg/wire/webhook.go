package wire

import "github.com/txn-service/txn/pkg/models"

// Webhook is an endpoint. Secret is set only in the answers that create or
// rotate it.
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
	Headers        map[string]string    `json:"headers"`
	Metadata       map[string]string    `json:"metadata"`
	Secret         string               `json:"secret,omitzero"`
	CreatedAt      Time                 `json:"created_at"`
	UpdatedAt      Time                 `json:"updated_at"`
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
