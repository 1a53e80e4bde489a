package httpapi

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/wire"
)

// Shared header values: net/http only reads them.
var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	replayed = []string{"true"}
)

// respond answers with a shape of package wire.
func respond(c *gin.Context, status int, shape any) error {
	body, err := wire.Marshal(shape)
	if err != nil {
		return err
	}
	return respondEncoded(c, status, body)
}

// respondEncoded answers with JSON that is encoded already. Answers show money
// and must not linger in caches (RFC 9111 §5.2.2.5).
func respondEncoded(c *gin.Context, status int, body []byte) error {
	admissionOf(c).settle(int64(len(body)))
	header := c.Writer.Header()
	header["Content-Type"] = jsonType
	header["Cache-Control"] = noStore
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Writer.WriteHeader(status)
	// An error here is a caller who hung up: there is nobody to tell.
	_, _ = c.Writer.Write(body)
	return nil
}

// respondNothing answers 204.
func respondNothing(c *gin.Context) error {
	c.Writer.WriteHeader(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}

// markReplayed says, before the answer, that it is that of an earlier request.
func markReplayed(c *gin.Context) {
	middleware.ExchangeOf(c).Replayed = true
	c.Writer.Header()["Idempotent-Replayed"] = replayed
}
