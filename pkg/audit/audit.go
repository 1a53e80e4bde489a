// Package audit keeps the log of administrative changes: who changed what, from
// what to what, and when.
//
// An entry is written in the transaction of the change it tells of, so that
// neither exists without the other, and the database refuses to change it
// afterwards. What goes into before and after is chosen by the package that
// makes the change and never contains a secret.
package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// Actor is who made a change: an operator with access to the database, or one
// of a tenant's API keys.
type Actor string

// Operator names a person who works with txnctl.
func Operator(name string) Actor { return Actor("operator:" + name) }

// Key names an API key that changed something over the API.
func Key(id models.APIKeyID) Actor { return Actor("key:" + id.String()) }

// Action names what was done: the noun, a dot, the verb.
type Action string

// The actions in the log.
const (
	BusinessCreated      Action = "business.created"
	BusinessUpdated      Action = "business.updated"
	BusinessSuspended    Action = "business.suspended"
	BusinessResumed      Action = "business.resumed"
	AccountCreated       Action = "account.created"
	AccountUpdated       Action = "account.updated"
	KeyIssued            Action = "key.issued"
	KeyRotated           Action = "key.rotated"
	KeyRevoked           Action = "key.revoked"
	WebhookCreated       Action = "webhook.created"
	WebhookUpdated       Action = "webhook.updated"
	WebhookDeleted       Action = "webhook.deleted"
	WebhookDisabled      Action = "webhook.disabled"
	WebhookEnabled       Action = "webhook.enabled"
	WebhookReplayed      Action = "webhook.replayed"
	WebhookSecretRotated Action = "webhook.secret_rotated"
	ReplayCancelled      Action = "replay.cancelled"
	SchemaMigrated       Action = "schema.migrated"
	SchemaTakenBack      Action = "schema.taken_back"
	// ReencryptionStarted and Reencrypted tell of stored secrets that got another
	// encryption key.
	ReencryptionStarted Action = "encryption_key.rotation_started"
	Reencrypted         Action = "encryption_key.rotated"
)

// Change is what an entry tells.
type Change struct {
	// Business is the tenant concerned; zero when there is none.
	Business models.BusinessID
	Actor    Actor
	Action   Action
	// Target is the id of what was changed, as it appears on the wire.
	Target string
	// Before and After are encoded as JSON; nil means that there was, or is,
	// nothing. They must not hold secrets.
	Before, After any
}

// Append writes one entry in the caller's transaction.
func Append(ctx context.Context, tx *gorm.DB, change Change) error {
	before, err := encode(change.Before)
	if err != nil {
		return err
	}
	after, err := encode(change.After)
	if err != nil {
		return err
	}
	entry := models.AuditEntry{
		Actor: string(change.Actor), Action: string(change.Action), Target: change.Target,
		Before: before, After: after, CreatedAt: database.Now(),
	}
	if !change.Business.IsZero() {
		entry.BusinessID = &change.Business
	}
	if err := tx.WithContext(ctx).Create(&entry).Error; err != nil {
		return fmt.Errorf("writing the audit log: %w", database.Coded(err))
	}
	return nil
}

// Exists reports whether there is a log: the first migration makes it, and taking
// that one back drops it. Errors are coded.
func Exists(ctx context.Context, tx *gorm.DB) (exists bool, err error) {
	err = tx.WithContext(ctx).Raw(`SELECT to_regclass('audit_log') IS NOT NULL`).Scan(&exists).Error
	return exists, database.Coded(err)
}

func encode(state any) (json.RawMessage, error) {
	if state == nil {
		return nil, nil
	}
	text, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encoding an audit entry: %w", err)
	}
	return text, nil
}
