package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxQuoted is how much of an answer without a problem document an error quotes, in
// bytes.
const maxQuoted = 1 << 10

// Error is a refusal by the API, or by something in front of it.
type Error struct {
	// Status is that of HTTP, from 300.
	Status int `json:"status"`
	// Code says what went wrong; it is empty when something else than the API answered.
	Code Code `json:"code"`
	// Title is the code in words, Detail what is wrong this time. Both are for people.
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// RequestID names the request in the logs of the service. Quote it when you ask for
	// help.
	RequestID string `json:"request_id"`
	// Retryable says that the same request, with the same idempotency key, may succeed
	// unchanged later. The client has then retried as often as it may.
	Retryable bool `json:"retryable"`
	// Fields are those at fault, for CodeValidationFailed and CodeInvalidRequest.
	Fields []FieldError `json:"errors"`
	// Index is the item of an atomic batch that failed; nil elsewhere.
	Index *int `json:"index"`
	// RetryAfter is how long the service wants its caller to wait; zero where it does
	// not say.
	RetryAfter time.Duration `json:"-"`

	call string
}

// Error says what was refused and why.
func (e *Error) Error() string {
	text := strconv.Itoa(e.Status) + " "
	if e.Code != "" {
		text += string(e.Code)
	} else {
		text += http.StatusText(e.Status)
	}
	if e.call != "" {
		text = e.call + ": " + text
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// IsCode reports whether err is a refusal with one of the codes.
func IsCode(err error, codes ...Code) bool {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return false
	}
	for _, code := range codes {
		if refusal.Code == code {
			return true
		}
	}
	return false
}

// readError makes an error of an answer that is not the one asked for.
func readError(call string, answer *http.Response) *Error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // what is there; the status says enough
	e := &Error{}
	if json.Unmarshal(text, e) != nil || e.Code == "" {
		// Something in between answered, or no txn at all.
		e = &Error{Detail: string(text[:min(len(text), maxQuoted)]), RequestID: answer.Header.Get("X-Request-Id")}
		e.Retryable = passing(answer.StatusCode)
	}
	e.Status, e.call = answer.StatusCode, call
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// passing reports whether a status without a code tells of what may pass: a proxy that
// limits, or that does not reach the API.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// decodingError is an answer that is not what the API promises: of another service, or
// cut off. It is not retried.
func decodingError(call string, err error) error {
	return fmt.Errorf("%s: reading the answer: %w", call, err)
}
