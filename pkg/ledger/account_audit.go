package ledger

import (
	"context"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/models"
)

// accountPolicy is the part of an account that decides which movements pass, as
// the audit log shows it.
type accountPolicy struct {
	Status models.AccountStatus `json:"status"`
	// OverdraftLimit is null without limit.
	OverdraftLimit *int64 `json:"overdraft_limit"`
}

// record writes the audit log if the new account may be overdrawn: any other moves
// only the money that it was given.
func (in NewAccount) record(tx *gorm.DB, a *models.Account) error {
	if a.OverdraftLimit != nil && *a.OverdraftLimit == 0 {
		return nil
	}
	return audit.Append(tx.Statement.Context, tx, audit.Change{
		Business: a.BusinessID, Actor: in.Actor, Action: audit.AccountCreated, Target: a.ID.String(),
		After: accountPolicy{a.Status, a.OverdraftLimit},
	})
}

// record writes the audit log if the change is one that it hears of. What an
// account is called is not.
func (c AccountChange) record(ctx context.Context, tx *gorm.DB, before, after *models.Account) error {
	if before.Status == after.Status && sameLimit(before.OverdraftLimit, after.OverdraftLimit) {
		return nil
	}
	return audit.Append(ctx, tx, audit.Change{
		Business: after.BusinessID, Actor: c.Actor, Action: audit.AccountUpdated, Target: after.ID.String(),
		Before: accountPolicy{before.Status, before.OverdraftLimit}, After: accountPolicy{after.Status, after.OverdraftLimit},
	})
}

func sameLimit(a, b *int64) bool {
	return a == b || a != nil && b != nil && *a == *b
}
