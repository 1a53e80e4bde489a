package tenant

import (
	"context"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/models"
)

// state is a business as the audit log shows it.
type state struct {
	Name            string                `json:"name"`
	Status          models.BusinessStatus `json:"status"`
	DefaultCurrency string                `json:"default_currency"`
	Metadata        models.Metadata       `json:"metadata,omitempty"`
}

func record(ctx context.Context, tx *gorm.DB, actor audit.Actor, action audit.Action, before, after *models.Business) error {
	change := audit.Change{
		Business: after.ID, Actor: actor, Action: action, Target: after.ID.String(), After: stateOf(after),
	}
	if before != nil {
		change.Before = stateOf(before)
	}
	return audit.Append(ctx, tx, change)
}

func stateOf(b *models.Business) state {
	return state{Name: b.Name, Status: b.Status, DefaultCurrency: b.DefaultCurrency, Metadata: b.Metadata}
}
