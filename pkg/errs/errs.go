// Package errs defines the coded errors that every layer returns.
//
// A code is part of the public contract: it appears in problem documents
// (RFC 9457), decides the HTTP status in one place (httpapi) and the exit code
// of txnctl. An error that carries no code is internal: its text is for the
// log and never reaches a caller.
package errs

import (
	"errors"
	"fmt"
	"time"
)

// Code names a kind of failure in the public contract.
type Code string

// The codes of the API contract.
const (
	InvalidRequest        Code = "invalid_request"
	IdempotencyKeyMissing Code = "idempotency_key_missing"
	Unauthenticated       Code = "unauthenticated"
	InsufficientScope     Code = "insufficient_scope"
	BusinessSuspended     Code = "business_suspended"
	NotFound              Code = "not_found"
	MethodNotAllowed      Code = "method_not_allowed"
	IdempotencyInProgress Code = "idempotency_in_progress"
	AlreadyExists         Code = "already_exists"
	InvalidState          Code = "invalid_state"
	BodyTooLarge          Code = "body_too_large"
	UnsupportedMediaType  Code = "unsupported_media_type"
	ValidationFailed      Code = "validation_failed"
	InsufficientFunds     Code = "insufficient_funds"
	CurrencyMismatch      Code = "currency_mismatch"
	AccountNotActive      Code = "account_not_active"
	IdempotencyKeyReused  Code = "idempotency_key_reused"
	ConditionFailed       Code = "condition_failed"
	LimitExceeded         Code = "limit_exceeded"
	RateLimited           Code = "rate_limited"
	Unavailable           Code = "unavailable"
	Internal              Code = "internal"
)

// Retryable reports whether the same request may succeed unchanged later.
func (c Code) Retryable() bool {
	switch c {
	case Unavailable, RateLimited, IdempotencyInProgress:
		return true
	default:
		return false
	}
}

// Field is one violation in a request: the path of the field (`metadata.color`,
// `transactions[3].amount`) and what is wrong with it.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a coded error. Detail is written for the caller; Cause is for the
// log only.
type Error struct {
	Code   Code
	Detail string
	// Fields lists the violations behind ValidationFailed and InvalidRequest.
	Fields []Field
	// RetryAfter is how long a caller should wait; zero means it is not said.
	RetryAfter time.Duration
	Cause      error
}

// New returns an error with a code and a detail that the caller may read.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause that only the log sees.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), Cause: cause}
}

// Invalid returns a ValidationFailed for one field.
func Invalid(field, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{
		Code:   ValidationFailed,
		Detail: field + ": " + message,
		Fields: []Field{{Field: field, Message: message}},
	}
}

// Error is the text for logs: code, detail and cause.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// As finds the coded error in err's chain, or nil.
func As(err error) *Error {
	var coded *Error
	if errors.As(err, &coded) {
		return coded
	}
	return nil
}

// CodeOf returns err's code, Internal when it carries none and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if coded := As(err); coded != nil {
		return coded.Code
	}
	return Internal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
