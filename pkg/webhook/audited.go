package webhook

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// Audited is a Store at work for somebody: its methods are those of the store, and
// write the audit log in the same transaction.
type Audited struct {
	store *Store
	actor audit.Actor
}

// For returns the store as the actor uses it.
func (s *Store) For(actor audit.Actor) Audited { return Audited{s, actor} }

// state is an endpoint as the audit log shows it. The log is kept for ever and
// read by operators, so the values of headers and the query of the URL, which may
// be credentials, are left out; that one was changed is told.
type state struct {
	URL            string               `json:"url"`
	EventTypes     []string             `json:"event_types"`
	Description    *string              `json:"description"`
	Status         models.WebhookStatus `json:"status"`
	Ordered        bool                 `json:"ordered"`
	MaxConcurrency int                  `json:"max_concurrency"`
	RateLimit      *int                 `json:"rate_limit"`
	Headers        map[string]string    `json:"headers,omitempty"`
	Metadata       models.Metadata      `json:"metadata,omitempty"`
}

// What stands for a value that is left out.
const (
	hidden        = "[hidden]"
	hiddenChanged = "[hidden, changed]"
)

// stateOf describes an endpoint that was another before; nil if it was not there.
func stateOf(row, before *models.Webhook) state {
	s := state{
		EventTypes: row.EventTypes, Description: row.Description, Status: row.Status, Ordered: row.Ordered,
		MaxConcurrency: row.MaxConcurrency, RateLimit: row.RateLimit, Metadata: row.Metadata,
	}
	address, query, found := strings.Cut(row.URL, "?")
	if s.URL = address; found {
		_, former, _ := strings.Cut(formerURL(row, before), "?")
		s.URL += "?" + hide(query, former)
	}
	if len(row.Headers) > 0 {
		s.Headers = make(map[string]string, len(row.Headers))
		for name, value := range row.Headers {
			former := value
			if before != nil {
				former = before.Headers[name]
			}
			s.Headers[http.CanonicalHeaderKey(name)] = hide(value, former)
		}
	}
	return s
}

func formerURL(row, before *models.Webhook) string {
	if before == nil {
		return row.URL
	}
	return before.URL
}

func hide(value, former string) string {
	if value == former {
		return hidden
	}
	return hiddenChanged
}

func (a Audited) record(tx *gorm.DB, action audit.Action, before, after *models.Webhook) error {
	row := after
	if row == nil {
		row = before
	}
	change := audit.Change{Business: row.BusinessID, Actor: a.actor, Action: action, Target: row.ID.String()}
	if before != nil {
		change.Before = stateOf(before, nil)
	}
	if after != nil {
		change.After = stateOf(after, before)
	}
	return audit.Append(tx.Statement.Context, tx, change)
}

// Create is Store.Create.
func (a Audited) Create(tx *gorm.DB, business models.BusinessID, fields Fields) (models.Webhook, string, error) {
	row, secret, err := a.store.Create(tx, business, fields)
	if err != nil {
		return row, "", err
	}
	return row, secret, a.record(tx, audit.WebhookCreated, nil, &row)
}

// Update is Store.Update. A patch that changes nothing is not logged.
func (a Audited) Update(tx *gorm.DB, business models.BusinessID, id models.WebhookID, patch Patch) (models.Webhook, error) {
	before, err := a.lock(tx, business, id)
	if err != nil {
		return before, err
	}
	after, err := a.store.Update(tx, business, id, patch)
	if err != nil || unchanged(before, after) {
		return after, err
	}
	return after, a.record(tx, audit.WebhookUpdated, &before, &after)
}

// Delete is Store.Delete.
func (a Audited) Delete(tx *gorm.DB, business models.BusinessID, id models.WebhookID) error {
	before, err := a.lock(tx, business, id)
	if err != nil {
		return err
	}
	if err := a.store.Delete(tx, business, id); err != nil {
		return err
	}
	return a.record(tx, audit.WebhookDeleted, &before, nil)
}

// rotation is what the audit log tells of a new secret: nothing of itself.
type rotation struct {
	// FormerUntil is when the former secret ends; null when it ended at once.
	FormerUntil *time.Time `json:"former_secret_until"`
}

// RotateSecret is Store.RotateSecret.
func (a Audited) RotateSecret(
	tx *gorm.DB, business models.BusinessID, id models.WebhookID, grace time.Duration,
) (models.Webhook, string, error) {
	row, secret, err := a.store.RotateSecret(tx, business, id, grace)
	if err != nil {
		return row, "", err
	}
	return row, secret, audit.Append(tx.Statement.Context, tx, audit.Change{
		Business: business, Actor: a.actor, Action: audit.WebhookSecretRotated, Target: id.String(),
		After: rotation{row.PreviousSecretExpiresAt},
	})
}

// lock returns the endpoint under the first lock of whatever changes it.
func (a Audited) lock(tx *gorm.DB, business models.BusinessID, id models.WebhookID) (models.Webhook, error) {
	if err := outbox.LockFanOut(tx, business); err != nil {
		return models.Webhook{}, fmt.Errorf("changing a webhook: %w", err)
	}
	return a.store.Get(tx, business, id)
}

func unchanged(before, after models.Webhook) bool {
	before.UpdatedAt = after.UpdatedAt
	return reflect.DeepEqual(before, after)
}
