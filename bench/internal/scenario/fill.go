package scenario

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

//go:embed fill.sql
var fillSQL string

//go:embed fill_credits.sql
var fillCreditsSQL string

const (
	// historySpan is the past over which stored transactions are spread.
	historySpan = 90 * 24 * time.Hour
	// sliceSize is about how many transfers one statement writes.
	sliceSize = 20_000
)

// history is the past of one business, written by SQL instead of by requests.
type history struct {
	business models.BusinessID
	accounts []models.AccountID
	// transfers is about how many there are: whole rounds over all accounts.
	transfers int
}

func (h *history) rounds() int64 {
	return int64(max(1, h.transfers/len(h.accounts)))
}

// transactions is how many there are, the credits that accounts begin with
// included.
func (h *history) transactions() int64 {
	return (h.rounds() + 1) * int64(len(h.accounts))
}

// write makes all rows but events: those have been delivered and are gone.
// progress is told how many transfers each finished slice had.
func (h *history) write(ctx context.Context, s *site, progress func(transfers int64)) error {
	n, rounds := int64(len(h.accounts)), h.rounds()
	began := time.Now().Add(-historySpan).Truncate(time.Microsecond)
	pause := (historySpan / time.Duration(n*rounds+1)).Truncate(time.Microsecond)
	if _, err := s.db.Pool.Exec(ctx, fillCreditsSQL, h.business, h.accounts, began, funds, currency); err != nil {
		return fmt.Errorf("writing credits: %w", err)
	}
	slice := max(1, sliceSize/n)
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for from := int64(0); from < rounds; from += slice {
		to := min(from+slice, rounds)
		group.Go(func() error {
			if writing.Err() != nil {
				return context.Cause(writing)
			}
			_, err := s.db.Pool.Exec(writing, fillSQL, h.business, h.accounts, from, to, began, pause, funds, currency)
			if err != nil {
				return fmt.Errorf("writing transfers: %w", err)
			}
			progress((to - from) * n)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err := s.db.Pool.Exec(ctx, `UPDATE business_accounts
		SET balance = $2, version = $3, last_entry_at = $4, created_at = $5 WHERE business_id = $1`,
		h.business, funds, 1+2*rounds, began.Add(time.Duration(n*rounds-1)*pause), began)
	return err
}

// verify lets the ledger's own audit judge the history.
func (h *history) verify(ctx context.Context, s *site) error {
	var found []ledger.Finding
	seen, err := ledger.Verify(ctx, s.db, ledger.Audit{
		Business: &h.business, Found: func(f ledger.Finding) { found = append(found, f) },
	})
	switch {
	case err != nil:
		return err
	case len(found) > 0:
		return fmt.Errorf("%w: %d findings, the first is %+v", errBadHistory, len(found), found[0])
	case seen.Transactions != h.transactions():
		return fmt.Errorf("%w: it has %d transactions, not %d", errBadHistory, seen.Transactions, h.transactions())
	}
	return nil
}

// errBadHistory says that what was stored is not what the ledger would have
// written.
var errBadHistory = errors.New("the stored history is wrong")

// looseFill is the index of random keys, which costs more to fill row by row than
// all others together: it is made afterwards, as loosely packed as one that grew
// by random insertions.
const looseFill = 70

// fill writes histories and leaves the database as one that has been in use for
// long: with its indexes, statistics and visibility maps.
func (b *Bench) fill(ctx context.Context, s *site, histories ...*history) error {
	var unique string
	err := s.db.Pool.QueryRow(ctx, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'transactions_idempotency_key'`).Scan(&unique)
	if err != nil {
		return fmt.Errorf("looking for the constraint on keys: %w", err)
	}
	_, err = s.db.Pool.Exec(ctx, `ALTER TABLE entries SET (autovacuum_enabled = off);
		ALTER TABLE transactions SET (autovacuum_enabled = off), DROP CONSTRAINT transactions_idempotency_key`,
		pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return fmt.Errorf("preparing to fill: %w", err)
	}
	progress := b.fillProgress(histories)
	for _, h := range histories {
		if err := h.write(ctx, s, progress); err != nil {
			return err
		}
	}
	b.say("indexing keys, vacuum, checkpoint")
	_, err = s.db.Pool.Exec(ctx, fmt.Sprintf(`SET LOCAL maintenance_work_mem = '512MB';
		ALTER TABLE transactions ADD CONSTRAINT transactions_idempotency_key %s WITH (fillfactor = %d);
		ALTER INDEX transactions_idempotency_key RESET (fillfactor);
		ALTER TABLE transactions RESET (autovacuum_enabled);
		ALTER TABLE entries RESET (autovacuum_enabled)`, unique, looseFill), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return fmt.Errorf("indexing keys: %w", err)
	}
	return s.tidy(ctx, "transactions", "entries", "business_accounts")
}

// fillProgress says each tenth.
func (b *Bench) fillProgress(histories []*history) func(transfers int64) {
	var total, done, said atomic.Int64
	for _, h := range histories {
		total.Add(h.rounds() * int64(len(h.accounts)))
	}
	began := time.Now()
	return func(transfers int64) {
		now := done.Add(transfers)
		for tenth := 10 * now / total.Load(); ; {
			before := said.Load()
			if tenth <= before {
				return
			}
			if said.CompareAndSwap(before, tenth) {
				b.say("stored %d of %d transactions (%s)", now, total.Load(), time.Since(began).Round(time.Second))
				return
			}
		}
	}
}
