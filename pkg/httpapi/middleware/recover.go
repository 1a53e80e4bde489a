package middleware

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"
)

// Recover turns a panic into a 500 and logs it once with its stack. An aborted
// connection passes: net/http knows what to do with it.
func Recover(log logrus.FieldLogger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
				panic(value)
			}
			log.WithFields(logrus.Fields{
				"request_id": ExchangeOf(c).RequestID,
				"route":      c.FullPath(),
				"stack":      string(debug.Stack()),
			}).Errorf("panic: %v", value)
			Fail(c, fmt.Errorf("panic: %v", value))
		}()
		c.Next()
	}
}
