// Package middleware holds what every request passes on its way to a handler:
// one file per concern, in the order in which they are mounted: request id and
// access log, traces, recovery, rate limits, authentication.
package middleware

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/problem"
)

// exchangeKey is where Observe keeps the exchange in Gin's context.
type exchangeKey struct{}

// statusClosed is logged for a caller who hung up before the answer: nobody
// reads the status, and it is no failure of the service (nginx's convention).
const statusClosed = 499

// Exchange is one request and its answer: what the handlers need to know beyond
// the request itself, and what the canonical log line tells. It is used by the
// request's goroutine alone.
type Exchange struct {
	// RequestID is the answer's X-Request-Id.
	RequestID string
	// Client is the caller's address, the zero Addr when it is not known.
	Client netip.Addr
	// Principal is who calls; nil before authentication.
	Principal *apikey.Principal
	// Replayed says that the answer is that of an earlier request.
	Replayed bool
	// Err is what the request failed with.
	Err error
	// TraceID is that of the trace that the request belongs to, empty when it is not
	// sampled and its caller named none.
	TraceID string

	started time.Time
	// hungUp is the error of the connection's context, which ends when the caller
	// goes away and not when a deadline passes.
	hungUp func() error
}

// ExchangeOf returns the request's exchange. Observe must be mounted.
func ExchangeOf(c *gin.Context) *Exchange {
	value, _ := c.Get(exchangeKey{})
	exchange, ok := value.(*Exchange)
	if !ok {
		panic("middleware: Observe is not mounted")
	}
	return exchange
}

// PrincipalOf returns who calls. Authenticate must be mounted on the route.
func PrincipalOf(c *gin.Context) *apikey.Principal { return ExchangeOf(c).Principal }

// Fail ends the request with err's problem document and notes err for the log.
// Once the answer has begun nothing can be said any more: then the connection
// is cut, so that the caller does not take a torn answer for a whole one.
func Fail(c *gin.Context, err error) {
	exchange := ExchangeOf(c)
	exchange.Err = err
	c.Abort()
	if c.Writer.Written() {
		panic(http.ErrAbortHandler)
	}
	// An answer that failed half-way through its headers must not leave them.
	for _, name := range []string{"Content-Encoding", "Content-Disposition", "Idempotent-Replayed", "Location"} {
		c.Writer.Header().Del(name)
	}
	doc := problem.New(err, exchange.RequestID)
	if doc.Status >= http.StatusInternalServerError && exchange.hungUp() != nil {
		doc.Status = statusClosed
	}
	if writeErr := doc.Write(c.Writer); writeErr != nil {
		exchange.Err = errors.Join(err, writeErr)
	}
}

// codeOf is the error code for logs, "" for success.
func (e *Exchange) codeOf() errs.Code { return errs.CodeOf(e.Err) }
