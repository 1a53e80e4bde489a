package middleware

import (
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ratelimit"
)

const (
	limitHeader     = "X-Ratelimit-Limit"
	remainingHeader = "X-Ratelimit-Remaining"
	resetHeader     = "X-Ratelimit-Reset"
)

// LimitClients counts each /v1 request of a client address, routes that do not
// exist included, and refuses those above the limit. A counted answer tells
// X-RateLimit-Limit, -Remaining and -Reset (seconds since the epoch).
func LimitClients(limit *ratelimit.Limit, isAPI func(path string) bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !isAPI(c.Request.URL.Path) {
			return
		}
		take(c, limit, limitKey(ExchangeOf(c).Client), "too many requests from this address")
	}
}

// LimitKeys counts each request of an API key, after authentication.
func LimitKeys(limit *ratelimit.Limit) gin.HandlerFunc {
	return func(c *gin.Context) {
		take(c, limit, PrincipalOf(c).KeyID.String(), "too many requests with this API key")
	}
}

func take(c *gin.Context, limit *ratelimit.Limit, key, detail string) {
	decision := limit.Take(c.Request.Context(), key)
	tell(c, decision)
	if decision.Refused {
		err := errs.New(errs.RateLimited, "%s: %d are allowed until the window ends", detail, decision.Limit)
		err.RetryAfter = decision.RetryAfter()
		Fail(c, err)
	}
}

// tell sets the headers; of two limits that count a request, the one that is
// nearer to its end is told.
func tell(c *gin.Context, decision ratelimit.Decision) {
	header := c.Writer.Header()
	if told := header[remainingHeader]; len(told) == 1 && !decision.Refused {
		if remaining, err := strconv.ParseInt(told[0], 10, 64); err == nil && remaining <= decision.Remaining {
			return
		}
	}
	values := [3]string{
		strconv.FormatInt(decision.Limit, 10),
		strconv.FormatInt(decision.Remaining, 10),
		strconv.FormatInt(decision.Reset.Unix(), 10),
	}
	header[limitHeader], header[remainingHeader], header[resetHeader] = values[0:1:1], values[1:2:2], values[2:3:3]
}
