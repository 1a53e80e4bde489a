package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// Sizes of the steps of an audit. Every step is one statement and so sees one
// consistent state; nothing keeps a snapshot open for longer than that.
const (
	accountsPerStep     = 500
	entriesPerStep      = 20_000
	transactionsPerStep = 5000
)

// Audit says what to verify and whom to tell.
type Audit struct {
	// Business limits the audit to one tenant; nil means all.
	Business *models.BusinessID
	// Pause is kept after each step, for an audit beside live traffic.
	Pause time.Duration
	// Found is called for every broken promise.
	Found func(Finding)
	// Progress is called after each step; nil for none.
	Progress func(Progress)
}

// Finding is one broken promise, with the place where it is broken.
type Finding struct {
	BusinessID models.BusinessID `json:"business_id"`
	// Subject is the id of the account, transaction or hold, or a currency; or that
	// of the business itself when rows name one that does not exist.
	Subject string `json:"subject"`
	// Check names the promise: `sequence`, `running_balance`, `time`, `transaction`,
	// `balance`, `version`, `overdraft`, `held`, `entries`, `orphan`, `captured`,
	// `reversed` or `sum`.
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// Progress counts what an audit has seen. Every entry is seen twice: once in its
// account's history and once from its transaction.
type Progress struct {
	Businesses, Accounts, Transactions int64
	Entries, EntriesTotal              int64
}

// Verify proves P2 and P3: for every account a gapless sequence, exact running
// balances and a balance, version and held sum that agree with them; for every
// transaction its entries and for every entry its transaction; captures and
// reversals that add up; and for every business and currency a sum of balances
// equal to credits minus debits. It uses bounded memory, takes no locks, and is
// correct beside live traffic. Coded errors: Unavailable.
func Verify(ctx context.Context, db *database.DB, audit Audit) (Progress, error) {
	v := &verifier{db: db, Audit: audit}
	if v.Progress == nil {
		v.Progress = func(Progress) {}
	}
	err := v.run(ctx)
	return v.progress, database.Coded(err)
}

// verifier is one run of Verify.
type verifier struct {
	Audit
	db       *database.DB
	progress Progress
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.estimate(ctx); err != nil {
		return err
	}
	if v.Business != nil {
		return v.business(ctx, *v.Business)
	}
	var after models.BusinessID
	for {
		var id models.BusinessID
		err := v.db.Pool.QueryRow(ctx, `SELECT id FROM businesses WHERE id > $1 ORDER BY id LIMIT 1`, uuidOf(after)).Scan(&id)
		if database.IsNoRows(err) {
			return v.strays(ctx)
		}
		if err != nil {
			return fmt.Errorf("listing businesses: %w", err)
		}
		if err := v.business(ctx, id); err != nil {
			return err
		}
		after = id
	}
}

// estimate finds out how much there is to do.
func (v *verifier) estimate(ctx context.Context) error {
	sql, args := `SELECT coalesce(sum(version), 0)::bigint FROM business_accounts`, []any(nil)
	if v.Business != nil {
		sql, args = sql+` WHERE business_id = $1`, []any{*v.Business}
	}
	if err := v.db.Pool.QueryRow(ctx, sql, args...).Scan(&v.progress.EntriesTotal); err != nil {
		return fmt.Errorf("counting entries: %w", err)
	}
	v.progress.EntriesTotal *= 2
	return nil
}

func (v *verifier) business(ctx context.Context, business models.BusinessID) error {
	for _, check := range []func(context.Context, models.BusinessID) error{
		v.accounts, v.transactions, v.findings,
	} {
		if err := check(ctx, business); err != nil {
			return fmt.Errorf("verifying %s: %w", business, err)
		}
	}
	v.progress.Businesses++
	return v.step(ctx)
}

// step reports progress and keeps the pause.
func (v *verifier) step(ctx context.Context) error {
	v.Progress(v.progress)
	if v.Pause <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(v.Pause):
		return nil
	}
}

func (v *verifier) found(business models.BusinessID, subject, check, format string, args ...any) {
	v.Found(Finding{BusinessID: business, Subject: subject, Check: check, Detail: fmt.Sprintf(format, args...)})
}

// uuidOf gives the zero id as a uuid and not, as ids do, as null.
func uuidOf[P models.Prefix](id models.ID[P]) string { return id.UUID() }

// stepped runs a statement whose plan must follow the primary keys, in a
// transaction of its own.
func (v *verifier) stepped(ctx context.Context, sql string, args []any, read func(pgx.Rows) error) error {
	return pgx.BeginTxFunc(ctx, v.db.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)`)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		return read(rows)
	})
}
