// Package problem turns coded errors into RFC 9457 problem documents: the one
// place that maps an error code to an HTTP status, and the one that decides
// what a caller gets to read.
package problem

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/wire"
)

// ContentType is the media type of every error (RFC 9457 §3).
const ContentType = "application/problem+json"

// typeBase and a code make a document's `type`: a page that explains the code.
const typeBase = "https://github.com/txn-service/txn/blob/main/docs/errors.md#"

// Pauses that a caller is told when the error itself does not say.
const (
	defaultUnavailable = 2 * time.Second
	defaultBusy        = time.Second
)

// Document is an RFC 9457 problem with txn's extensions.
type Document struct {
	Type   string    `json:"type"`
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Detail string    `json:"detail,omitzero"`
	Code   errs.Code `json:"code"`
	// RequestID is the answer's X-Request-Id.
	RequestID string `json:"request_id"`
	// Retryable says that the same request may succeed unchanged later.
	Retryable bool         `json:"retryable"`
	Errors    []errs.Field `json:"errors,omitzero"`
	// Index is the position of the failing item of a batch.
	Index *int `json:"index,omitzero"`

	retryAfter time.Duration
}

// New describes err for the caller. Of an error without a code, and of an
// internal one, it tells nothing but that.
func New(err error, requestID string) Document {
	coded := errs.As(err)
	if coded == nil {
		coded = &errs.Error{Code: errs.Internal}
	}
	known, found := kinds[coded.Code]
	if !found {
		coded = &errs.Error{Code: errs.Internal}
		known = kinds[errs.Internal]
	}
	doc := Document{
		Type: typeBase + string(coded.Code), Title: known.title, Status: known.status,
		Detail: coded.Detail, Code: coded.Code, RequestID: requestID,
		Retryable: coded.Code.Retryable(), Errors: coded.Fields, retryAfter: coded.RetryAfter,
	}
	if coded.Code == errs.Internal {
		doc.Detail, doc.Errors = "", nil
	}
	var item *ItemError
	if errors.As(err, &item) {
		doc.Index = &item.Index
	}
	if doc.retryAfter <= 0 {
		doc.retryAfter = known.retryAfter
	}
	return doc
}

// Write answers with the document: status, Retry-After where there is one, and
// WWW-Authenticate on 401 (RFC 9110 §15.5.2).
func (d Document) Write(w http.ResponseWriter) error {
	body, err := wire.Marshal(d)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	if d.retryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(seconds(d.retryAfter), 10))
	}
	if d.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(d.Status)
	_, err = w.Write(body)
	return err
}

// seconds rounds up: a caller who waits as told never comes too early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
