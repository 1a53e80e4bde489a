package apikey

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/models"
)

// state is a key as the audit log shows it: without its hash.
type state struct {
	Name      string           `json:"name"`
	Prefix    string           `json:"prefix"`
	Scopes    []string         `json:"scopes"`
	Replaces  *models.APIKeyID `json:"replaces,omitempty"`
	ExpiresAt *time.Time       `json:"expires_at"`
	RevokedAt *time.Time       `json:"revoked_at"`
}

func record(ctx context.Context, tx *gorm.DB, actor audit.Actor, action audit.Action, before, after *models.APIKey) error {
	change := audit.Change{
		Business: after.BusinessID, Actor: actor, Action: action, Target: after.ID.String(), After: stateOf(after),
	}
	if before != nil {
		change.Before = stateOf(before)
	}
	return audit.Append(ctx, tx, change)
}

func stateOf(k *models.APIKey) state {
	return state{
		Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, Replaces: k.ReplacesID,
		ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt,
	}
}
