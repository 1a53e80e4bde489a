package middleware

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/telemetry"
)

// Observe begins every exchange and closes it with one canonical log line and
// the metrics. The line never holds headers, bodies, query strings or the raw
// path, in which callers put secrets by mistake. Requests of the probes are
// logged at debug level unless they fail.
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
			exchange.log(c, log, took)
		}()
		c.Next()
	}
}

// log writes the canonical line.
func (e *Exchange) log(c *gin.Context, log *logrus.Logger, took time.Duration) {
	status := c.Writer.Status()
	level := levelOf(c, status)
	if !log.IsLevelEnabled(level) {
		return
	}
	fields := make(logrus.Fields, 11)
	fields["request_id"] = e.RequestID
	fields["method"] = methodOf(c.Request.Method)
	fields["route"] = c.FullPath()
	fields["status"] = status
	fields["duration_ms"] = float64(took.Microseconds()) / 1000
	fields["client_ip"] = e.Client.String()
	if e.Principal != nil {
		fields["business_id"] = e.Principal.BusinessID.String()
		fields["key_id"] = e.Principal.KeyID.String()
	}
	if e.Replayed {
		fields["replayed"] = true
	}
	if e.Err != nil {
		fields["code"] = string(e.codeOf())
		if status >= http.StatusInternalServerError {
			fields["error"] = e.Err.Error()
		}
	}
	log.WithFields(fields).Log(level, "request")
}

func levelOf(c *gin.Context, status int) logrus.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return logrus.ErrorLevel
	case probes[c.FullPath()]:
		return logrus.DebugLevel
	default:
		return logrus.InfoLevel
	}
}

// probes are the routes that machines ask every few seconds.
var probes = map[string]bool{"/health": true, "/livez": true, "/readyz": true}

// methodOf bounds what a caller may write into the log.
func methodOf(method string) string {
	if telemetry.KnownMethod(method) {
		return method
	}
	return "OTHER"
}
