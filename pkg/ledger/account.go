package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/wire"
)

// referenceConstraint is what a caller whose reference is taken runs into.
const referenceConstraint = "business_accounts_reference_key"

// NewAccount is an account to open.
type NewAccount struct {
	Name     string
	Currency string
	// Reference is unique per business when set.
	Reference *string
	// OverdraftLimit is in minor units; nil means without limit.
	OverdraftLimit *int64
	Metadata       models.Metadata
	// Actor is who asks, for the audit log, which hears of an account that may be
	// overdrawn from the start.
	Actor audit.Actor
}

// CreateAccount opens an account in the caller's transaction, with the event
// account.created. Coded errors: ValidationFailed, AlreadyExists (the
// reference).
func CreateAccount(tx *gorm.DB, business models.BusinessID, in NewAccount) (models.Account, error) {
	var v errs.Validation
	models.CheckLength(&v, "name", in.Name, 1, models.MaxName)
	_, known := models.CurrencyExponent(in.Currency)
	v.Check(known, "currency", "must be an ISO 4217 code")
	checkOptional(&v, "reference", in.Reference, models.MaxReference)
	checkOverdraft(&v, in.OverdraftLimit)
	in.Metadata.Check(&v, "metadata")
	if err := v.Err(); err != nil {
		return models.Account{}, err
	}
	now := database.Now()
	a := models.Account{
		BusinessID: business, ID: models.NewIDAt[models.AccountPrefix](now), Name: in.Name, Reference: in.Reference,
		Currency: in.Currency, Status: models.AccountActive, OverdraftLimit: in.OverdraftLimit, Metadata: in.Metadata,
		CreatedAt: now, UpdatedAt: now,
	}
	// Select names the columns so that GORM writes a null overdraft limit rather
	// than leaving the column to its default.
	if err := tx.Select("*").Create(&a).Error; err != nil {
		return models.Account{}, codeAccount(err, in.Reference)
	}
	if err := in.record(tx, &a); err != nil {
		return models.Account{}, err
	}
	return a, emitAccount(tx, models.EventAccountCreated, a)
}

func checkOverdraft(v *errs.Validation, limit *int64) {
	if limit != nil {
		v.Check(*limit >= 0 && *limit <= models.MaxAmount, "overdraft_limit", "must be between 0 and %d, or null for no limit", models.MaxAmount)
	}
}

func codeAccount(err error, reference *string) error {
	if database.Constraint(err) == referenceConstraint {
		return errs.Wrap(err, errs.AlreadyExists, "an account with the reference %q exists", *reference)
	}
	return fmt.Errorf("writing an account: %w", err)
}

func emitAccount(tx *gorm.DB, kind models.EventType, a models.Account) error {
	event, err := wire.NewEvent(a.BusinessID, kind, a.UpdatedAt, wire.NewAccount(a))
	if err != nil {
		return err
	}
	return outbox.Append(tx, event)
}

// AccountChange is what an update sets; nil fields stay as they are.
type AccountChange struct {
	Name   *string
	Status *models.AccountStatus
	// Reference, when set, replaces the reference; a nil inside removes it.
	Reference **string
	// OverdraftLimit, when set, replaces the limit, in minor units; a nil inside
	// means without limit.
	OverdraftLimit **int64
	// Metadata, when set, replaces the metadata.
	Metadata *models.Metadata
	// Actor is who asks, for the audit log, which hears of every change of the status
	// and of the limit.
	Actor audit.Actor
}

// UpdateAccount changes an account under its FOR UPDATE lock, with the event
// account.updated, and makes the change visible to every movement that locks the
// account afterwards.
//
// Coded errors: ValidationFailed (also for a limit below what is in use),
// NotFound, InvalidState (a closed account; closing one with money or holds),
// AlreadyExists (the reference), Unavailable.
func (l *Ledger) UpdateAccount(ctx context.Context, business models.BusinessID, id models.AccountID, change AccountChange) (models.Account, error) {
	if err := change.validate(); err != nil {
		return models.Account{}, err
	}
	if change == (AccountChange{Actor: change.Actor}) {
		return l.Account(ctx, business, id)
	}
	if change.Status != nil || change.OverdraftLimit != nil {
		// What these are judged by may be held by holds that are overdue.
		if err := l.Touch(ctx, business, id); err != nil {
			return models.Account{}, err
		}
	}
	var a models.Account
	err := l.db.InTx(ctx, func(tx *gorm.DB) error {
		a = models.Account{}
		if err := limitWaits(tx, l.options.LockTimeout); err != nil {
			return err
		}
		err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
			Take(&a, "business_id = ? AND id = ?", business, id).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return errs.Wrap(err, errs.NotFound, "there is no account %s", id)
		}
		if err != nil {
			return fmt.Errorf("locking an account: %w", err)
		}
		before := a
		if err := change.apply(&a); err != nil {
			return err
		}
		a.UpdatedAt = database.Now()
		err = tx.Model(&models.Account{}).Where("business_id = ? AND id = ?", business, id).
			Select("name", "status", "reference", "overdraft_limit", "metadata", "updated_at").UpdateColumns(&a).Error
		if err != nil {
			return codeAccount(err, a.Reference)
		}
		if err := change.record(ctx, tx, &before, &a); err != nil {
			return err
		}
		return emitAccount(tx, models.EventAccountUpdated, a)
	})
	if err != nil {
		return models.Account{}, err
	}
	l.options.AfterCommit()
	return a, nil
}

// limitWaits bounds row-lock and statement waits of a GORM transaction, and has
// it commit durably whatever the server's default.
func limitWaits(tx *gorm.DB, lock time.Duration) error {
	err := tx.Exec(`SELECT set_config('lock_timeout', ?, true), set_config('statement_timeout', '10s', true),
    set_config('synchronous_commit', 'on', true)`, fmt.Sprint(lock.Milliseconds())).Error
	if err != nil {
		return fmt.Errorf("limiting waits: %w", err)
	}
	return nil
}

func (c AccountChange) validate() error {
	var v errs.Validation
	if c.Name != nil {
		models.CheckLength(&v, "name", *c.Name, 1, models.MaxName)
	}
	if c.Status != nil {
		switch *c.Status {
		case models.AccountActive, models.AccountFrozen, models.AccountClosed:
		default:
			v.Add("status", "must be active, frozen or closed")
		}
	}
	if c.Reference != nil {
		checkOptional(&v, "reference", *c.Reference, models.MaxReference)
	}
	if c.OverdraftLimit != nil {
		checkOverdraft(&v, *c.OverdraftLimit)
	}
	if c.Metadata != nil {
		c.Metadata.Check(&v, "metadata")
	}
	return v.Err()
}

// apply changes a locked account or says why it may not be changed so.
func (c AccountChange) apply(a *models.Account) error {
	if a.Status == models.AccountClosed {
		return errs.New(errs.InvalidState, "account %s is closed", a.ID)
	}
	if c.Status != nil && *c.Status == models.AccountClosed && (a.Balance != 0 || a.Held != 0) {
		return errs.New(errs.InvalidState, "account %s has a balance of %d and %d held; only an empty account can be closed", a.ID, a.Balance, a.Held)
	}
	if c.OverdraftLimit != nil {
		limit := *c.OverdraftLimit
		if limit != nil && a.Available() < -*limit {
			return errs.Invalid("overdraft_limit", "account %s is overdrawn by %d", a.ID, -a.Available())
		}
		a.OverdraftLimit = limit
	}
	if c.Name != nil {
		a.Name = *c.Name
	}
	if c.Status != nil {
		a.Status = *c.Status
	}
	if c.Reference != nil {
		a.Reference = *c.Reference
	}
	if c.Metadata != nil {
		a.Metadata = *c.Metadata
	}
	return nil
}
