package webhook

import (
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/txn-service/txn/pkg/errs"
)

// Bounds of an endpoint's own headers; values in bytes.
const (
	maxHeaders     = 20
	maxHeaderName  = 100
	maxHeaderValue = 1000
)

// reserved headers are set by the service, steer the connection (RFC 9110 §7.6.1),
// or would make every delivery look like the same one: with an idempotency key the
// transport repeats a request by itself, and a receiver drops what it has "seen".
var reserved = map[string]bool{
	"accept-encoding": true, "connection": true, "content-encoding": true, "content-length": true, "content-type": true,
	"date": true, "expect": true, "host": true, "http2-settings": true, "idempotency-key": true, "keep-alive": true,
	"proxy-authenticate": true, "proxy-authorization": true, "proxy-connection": true, "te": true,
	"traceparent": true, "tracestate": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
	"user-agent": true, "x-idempotency-key": true,
}

// checkHeaders records a violation for headers that could not be sent, would
// change the framing of the request, or would pass for the service's own.
func checkHeaders(v *errs.Validation, headers map[string]string) {
	v.Check(len(headers) <= maxHeaders, "headers", "must have at most %d headers", maxHeaders)
	seen := make(map[string]bool, len(headers))
	for name, value := range headers {
		field, lower := "headers."+name, strings.ToLower(name)
		switch {
		case len(name) > maxHeaderName || !httpguts.ValidHeaderFieldName(name):
			v.Add(field, "is no header name")
		case reserved[lower] || strings.HasPrefix(lower, "webhook-"):
			v.Add(field, "is set by the service")
		case seen[lower]:
			v.Add(field, "is there twice")
		}
		seen[lower] = true
		v.Check(len(value) <= maxHeaderValue, field, "must have at most %d bytes", maxHeaderValue)
		v.Check(httpguts.ValidHeaderFieldValue(value), field, "is no header value")
	}
}
