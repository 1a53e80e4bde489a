package problem

import (
	"net/http"
	"time"

	"github.com/txn-service/txn/pkg/errs"
)

// kind is what all errors of one code have in common.
type kind struct {
	status     int
	title      string
	retryAfter time.Duration
}

var kinds = map[errs.Code]kind{
	errs.InvalidRequest:        {status: http.StatusBadRequest, title: "The request cannot be read"},
	errs.IdempotencyKeyMissing: {status: http.StatusBadRequest, title: "An idempotency key is required"},
	errs.Unauthenticated:       {status: http.StatusUnauthorized, title: "The API key is missing or not valid"},
	errs.InsufficientScope:     {status: http.StatusForbidden, title: "The API key lacks a scope"},
	errs.BusinessSuspended:     {status: http.StatusForbidden, title: "The business is suspended"},
	errs.NotFound:              {status: http.StatusNotFound, title: "Not found"},
	errs.MethodNotAllowed:      {status: http.StatusMethodNotAllowed, title: "Method not allowed"},
	errs.IdempotencyInProgress: {
		status: http.StatusConflict, title: "A request with this idempotency key is being worked on", retryAfter: defaultBusy,
	},
	errs.AlreadyExists:        {status: http.StatusConflict, title: "Already exists"},
	errs.InvalidState:         {status: http.StatusConflict, title: "The object's state does not allow it"},
	errs.BodyTooLarge:         {status: http.StatusRequestEntityTooLarge, title: "The body is too large"},
	errs.UnsupportedMediaType: {status: http.StatusUnsupportedMediaType, title: "The body must be JSON"},
	errs.ValidationFailed:     {status: http.StatusUnprocessableEntity, title: "The request is not acceptable"},
	errs.InsufficientFunds:    {status: http.StatusUnprocessableEntity, title: "Insufficient funds"},
	errs.CurrencyMismatch:     {status: http.StatusUnprocessableEntity, title: "Currencies differ"},
	errs.AccountNotActive:     {status: http.StatusUnprocessableEntity, title: "The account is not active"},
	errs.IdempotencyKeyReused: {
		status: http.StatusUnprocessableEntity, title: "The idempotency key was used for another request",
	},
	errs.ConditionFailed: {status: http.StatusUnprocessableEntity, title: "A condition of the request does not hold"},
	errs.LimitExceeded:   {status: http.StatusUnprocessableEntity, title: "A limit of the business is reached"},
	errs.RateLimited:     {status: http.StatusTooManyRequests, title: "Too many requests", retryAfter: defaultBusy},
	errs.Unavailable: {
		status: http.StatusServiceUnavailable, title: "The service is not available", retryAfter: defaultUnavailable,
	},
	errs.Internal: {status: http.StatusInternalServerError, title: "Internal error"},
}
