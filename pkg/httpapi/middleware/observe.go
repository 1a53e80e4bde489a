package middleware

import (
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/telemetry"
)

// Observe begins every exchange and closes it with one canonical log line and
// the metrics.
func Observe(log *logrus.Logger, metrics *telemetry.HTTP, proxies Proxies) gin.HandlerFunc {
	return func(c *gin.Context) {
		exchange := &Exchange{
			RequestID: requestID(c.Request.Header),
			Client:    proxies.clientAddress(c.Request),
			started:   time.Now(),
			hungUp:    c.Request.Context().Err,
		}
		c.Set(exchangeKey{}, exchange)
		c.Writer.Header()[requestIDHeader] = []string{exchange.RequestID}
		// Deferred, so that an aborted connection is told too.
		defer func() {
			took := time.Since(exchange.started)
			metrics.Observe(c.FullPath(), c.Request.Method, c.Writer.Status(), took)
			exchange.log(log, c, took)
		}()
		c.Next()
	}
}
