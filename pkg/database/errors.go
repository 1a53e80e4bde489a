package database

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
)

// SQLSTATEs that the service tells apart (PostgreSQL documentation, appendix A).
const (
	StateUniqueViolation      = "23505"
	StateForeignKeyViolation  = "23503"
	StateCheckViolation       = "23514"
	StateSerializationFailure = "40001"
	StateDeadlockDetected     = "40P01"
	StateLockNotAvailable     = "55P03"
	StateQueryCanceled        = "57014"
	StateTooManyConnections   = "53300"
	StateReadOnly             = "25006"
	// StatePlanChanged is "cached plan must not change result type", the only use of
	// feature_not_supported that our statements can meet: a migration has added a
	// column since a `SELECT *` was prepared. pgx prepares it anew the next time.
	StatePlanChanged = "0A000"
)

// outageRetryAfter is what a caller is told to wait when the database is away.
const outageRetryAfter = 2 * time.Second

// SQLState returns the SQLSTATE of a PostgreSQL error, "" for any other.
func SQLState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// Constraint returns the name of the constraint that a PostgreSQL error is
// about, "" when there is none.
func Constraint(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.ConstraintName
	}
	return ""
}

// IsConflict reports a serialization failure, a deadlock or a plan that a migration
// made useless: nothing happened, and the same transaction may succeed when run
// again.
func IsConflict(err error) bool {
	switch SQLState(err) {
	case StateSerializationFailure, StateDeadlockDetected, StatePlanChanged:
		return true
	default:
		return false
	}
}

// IsLost reports that the connection broke or the server went away, so that
// what was sent last may or may not have happened.
func IsLost(err error) bool {
	if err == nil {
		return false
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		// Class 08 is connection trouble, 57P01..57P05 is the server stopping.
		return strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "57P")
	}
	var netErr net.Error
	var connectErr *pgconn.ConnectError
	return errors.As(err, &netErr) || errors.As(err, &connectErr) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded)
}

// isLate reports that the server was reached and did not answer in time, or that
// all connections were busy for as long. Not to have connected at all is an outage.
func isLate(err error) bool {
	var connectErr *pgconn.ConnectError
	if errors.As(err, &connectErr) {
		return false
	}
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// Coded gives an uncoded database error its code: NotFound for an empty result,
// Unavailable for an outage, an answer that took too long, a lock or statement
// timeout, a conflict that outlived its retries, a server out of connections and one
// that only reads; its detail says which. Other errors pass unchanged; constraint
// violations are for the caller, who knows what the constraint means.
func Coded(err error) error {
	switch {
	case err == nil || errs.As(err) != nil:
		return err
	case IsNoRows(err):
		return errs.Wrap(err, errs.NotFound, "not found")
	case errors.Is(err, context.Canceled):
		return errs.Wrap(err, errs.Unavailable, "the request was cancelled")
	}
	switch SQLState(err) {
	case StateSerializationFailure, StateDeadlockDetected, StatePlanChanged:
		return unavailable(err, "the data is busy, try again", time.Second)
	case StateLockNotAvailable:
		return unavailable(err, "the data is locked by another operation, try again", time.Second)
	case StateQueryCanceled: // by statement_timeout
		return unavailable(err, lateDetail, time.Second)
	case StateTooManyConnections:
		return unavailable(err, "the database is busy, try again", outageRetryAfter)
	case StateReadOnly: // a standby that a failover has not promoted yet
		return unavailable(err, "the database takes no changes at this moment, try again", outageRetryAfter)
	}
	switch {
	case isLate(err):
		return unavailable(err, lateDetail, outageRetryAfter)
	case IsLost(err):
		return unavailable(err, "the database cannot be reached, try again", outageRetryAfter)
	}
	return err
}

const lateDetail = "the database did not answer in time, try again"

func unavailable(cause error, detail string, after time.Duration) error {
	coded := errs.Wrap(cause, errs.Unavailable, "%s", detail)
	coded.RetryAfter = after
	return coded
}

// IsNoRows reports an empty result.
func IsNoRows(err error) bool {
	return errors.Is(err, pgx.ErrNoRows) || errors.Is(err, gorm.ErrRecordNotFound)
}
