package middleware

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/telemetry"
)

// line is the canonical log line of one request. It never holds headers, bodies,
// query strings or the raw path, in which callers put secrets by mistake.
type line struct {
	requestID, method, route, client string
	traceID                          string
	status                           int
	took                             time.Duration
	business, key                    string
	replayed                         bool
	// code and cause are those of a failure; the cause is told for failures of the
	// service alone.
	code, cause string
}

func (e *Exchange) line(c *gin.Context, took time.Duration) *line {
	l := &line{
		requestID: e.RequestID, method: methodOf(c.Request.Method), route: c.FullPath(), client: e.Client.String(),
		traceID: e.TraceID, status: c.Writer.Status(), took: took, replayed: e.Replayed,
	}
	if e.Principal != nil {
		l.business, l.key = e.Principal.BusinessID.String(), e.Principal.KeyID.String()
	}
	if e.Err != nil {
		l.code = string(e.codeOf())
		if l.status >= http.StatusInternalServerError {
			l.cause = e.Err.Error()
		}
	}
	return l
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

// lineKey is where an entry's context carries its line.
type lineKey struct{}

// write logs the line, as fields unless the logger's formatter knows lines.
func (l *line) write(log *logrus.Logger) {
	level := levelOf(l.route, l.status)
	if !log.IsLevelEnabled(level) {
		return
	}
	entry := &logrus.Entry{Logger: log, Time: time.Now()}
	if _, knows := log.Formatter.(*lineFormatter); knows {
		entry.Context = context.WithValue(context.Background(), lineKey{}, l)
	} else {
		entry.Data = l.fields()
	}
	entry.Log(level, "request")
}

func (l *line) fields() logrus.Fields {
	fields := logrus.Fields{
		"request_id": l.requestID, "method": l.method, "route": l.route, "status": l.status,
		"duration_ms": float64(l.took.Microseconds()) / 1000, "client_ip": l.client,
	}
	for name, value := range map[string]string{
		"trace_id": l.traceID, "business_id": l.business, "key_id": l.key, "code": l.code, "error": l.cause,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	if l.replayed {
		fields["replayed"] = true
	}
	return fields
}

// lineFormatter writes the canonical lines of requests itself and leaves all
// other entries to the formatter that it wraps. logrus copies an entry's fields
// three times and sorts them; for the one line that every request writes, that
// was a third of all the work around a movement.
type lineFormatter struct{ next *logrus.JSONFormatter }

// FormatLines makes a JSON formatter write the canonical lines of requests
// quickly. Another formatter is returned as it is.
func FormatLines(next logrus.Formatter) logrus.Formatter {
	if json, ok := next.(*logrus.JSONFormatter); ok {
		return &lineFormatter{next: json}
	}
	return next
}

// Format implements logrus.Formatter.
func (f *lineFormatter) Format(entry *logrus.Entry) ([]byte, error) {
	if entry.Context != nil {
		if l, ok := entry.Context.Value(lineKey{}).(*line); ok {
			return l.format(entry), nil
		}
	}
	return f.next.Format(entry)
}

func (l *line) format(entry *logrus.Entry) []byte {
	buffer := entry.Buffer
	if buffer == nil {
		buffer = new(bytes.Buffer)
	}
	buffer.Grow(512)
	b := append(buffer.AvailableBuffer(), `{"time":"`...)
	b = entry.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	b = appendText(b, "level", entry.Level.String())
	b = appendText(b, "message", entry.Message)
	b = appendText(b, "request_id", l.requestID)
	if l.traceID != "" {
		b = appendText(b, "trace_id", l.traceID)
	}
	b = appendText(b, "method", l.method)
	b = appendText(b, "route", l.route)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(l.status), 10)
	b = append(b, `,"duration_ms":`...)
	b = strconv.AppendFloat(b, float64(l.took.Microseconds())/1000, 'f', -1, 64)
	b = appendText(b, "client_ip", l.client)
	if l.business != "" {
		b = appendText(b, "business_id", l.business)
		b = appendText(b, "key_id", l.key)
	}
	if l.replayed {
		b = append(b, `,"replayed":true`...)
	}
	if l.code != "" {
		b = appendText(b, "code", l.code)
	}
	if l.cause != "" {
		b = appendText(b, "error", l.cause)
	}
	_, _ = buffer.Write(append(b, '}', '\n')) // never fails
	return buffer.Bytes()
}

func appendText(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	b, _ = jsontext.AppendQuote(b, value) // invalid UTF-8 is replaced, which is what a log wants
	return b
}
