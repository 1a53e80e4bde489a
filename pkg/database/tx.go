package database

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// conflictRetries bounds how often a transaction that lost against another is
// run again.
const conflictRetries = 5

// InTx runs do in a GORM transaction, again when it lost a deadlock or a
// serialization conflict, and returns a coded error (see Coded). do must have
// no effect outside the database.
func (db *DB) InTx(ctx context.Context, do func(tx *gorm.DB) error) error {
	return retryConflicts(ctx, func() error {
		return db.Gorm.WithContext(ctx).Transaction(do)
	})
}

// InPgxTx is InTx for code that speaks pgx.
func (db *DB) InPgxTx(ctx context.Context, do func(tx pgx.Tx) error) error {
	return retryConflicts(ctx, func() error {
		return pgx.BeginTxFunc(ctx, db.Pool, BeginReadCommitted, do)
	})
}

func retryConflicts(ctx context.Context, run func() error) error {
	for attempt := 0; ; attempt++ {
		err := run()
		if !IsConflict(err) || attempt == conflictRetries {
			return Coded(err)
		}
		select {
		case <-ctx.Done():
			return Coded(err)
		case <-time.After(Backoff(attempt)):
		}
	}
}

// Backoff is a jittered pause before the retry of a transaction that lost a
// conflict: 0–5 ms, doubling with every attempt.
func Backoff(attempt int) time.Duration {
	return rand.N(5*time.Millisecond<<min(attempt, 6)) + time.Microsecond
}
