package middleware

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/logging"
	"github.com/txn-service/txn/pkg/telemetry"
)

// log writes the canonical line of the request. It never holds headers, bodies, query
// strings or the raw path, in which callers put secrets by mistake.
func (e *Exchange) log(to *logrus.Logger, c *gin.Context, took time.Duration) {
	status := c.Writer.Status()
	level := levelOf(c.FullPath(), status)
	if !to.IsLevelEnabled(level) {
		return
	}
	line := make(logging.Line, 0, 12).
		Text("request_id", e.RequestID).
		Text("trace_id", e.TraceID).
		Text("method", methodOf(c.Request.Method)).
		Text("route", c.FullPath()).
		Int("status", int64(status)).
		Milliseconds("duration_ms", took).
		Text("client_ip", e.Client.String())
	if e.Principal != nil {
		line = line.Text("business_id", e.Principal.BusinessID.String()).Text("key_id", e.Principal.KeyID.String())
	}
	line = line.True("replayed", e.Replayed)
	if e.Err != nil {
		line = line.Text("code", string(e.codeOf()))
		if status >= http.StatusInternalServerError { // a caller's mistake has no cause but the caller
			line = line.Text("error", e.Err.Error())
		}
	}
	line.Write(to, level, "request")
}

// levelOf is error for failures of the service, debug for the probes, which ask
// every few seconds, and info for everything else.
func levelOf(route string, status int) logrus.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return logrus.ErrorLevel
	case isProbe(route):
		return logrus.DebugLevel
	default:
		return logrus.InfoLevel
	}
}

// isProbe reports whether the route is one that is asked every few seconds to see
// how the service is.
func isProbe(route string) bool { return route == "/health" || route == "/livez" || route == "/readyz" }

// methodOf bounds what a caller may write into the log.
func methodOf(method string) string {
	if telemetry.KnownMethod(method) {
		return method
	}
	return "OTHER"
}
