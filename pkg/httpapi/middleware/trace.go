package middleware

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Trace makes a span of each request but the probes, within the trace that the
// caller names in traceparent and tracestate (W3C Trace Context). It is mounted
// behind Observe. A request that is not sampled goes on without a span in its
// context, so that nothing below has to ask.
//
// Spans hold what the canonical log line holds, and for the same reason neither
// headers, query nor path: the attributes of otelgin, which this is instead of,
// include the path as it came.
func Trace(tracer trace.Tracer) gin.HandlerFunc {
	return func(c *gin.Context) {
		route := c.FullPath()
		if isProbe(route) {
			return
		}
		exchange := ExchangeOf(c)
		ctx := propagation.TraceContext{}.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
		caller := trace.SpanContextFromContext(ctx)
		ctx, span := tracer.Start(ctx, spanName(c.Request.Method, route), trace.WithSpanKind(trace.SpanKindServer))
		of := span.SpanContext()
		if of.IsSampled() || caller.IsValid() {
			exchange.TraceID = of.TraceID().String()
		}
		if !of.IsSampled() {
			return
		}
		c.Request = c.Request.WithContext(ctx)
		// Deferred, so that an aborted connection is told too.
		defer func() {
			exchange.describe(span, c)
			span.End()
		}()
		c.Next()
	}
}

// spanName is the method and the route's pattern, or the method alone
// (OpenTelemetry semantic conventions for HTTP spans, "Name").
func spanName(method, route string) string {
	if method = methodOf(method); method == "OTHER" {
		method = "HTTP"
	}
	if route == "" {
		return method
	}
	return method + " " + route
}

// describe tells the span what became of the request.
func (e *Exchange) describe(span trace.Span, c *gin.Context) {
	status := c.Writer.Status()
	attributes := append(make([]attribute.KeyValue, 0, 8),
		attribute.String("http.request.method", spanMethod(c.Request.Method)),
		attribute.Int("http.response.status_code", status),
		attribute.String("txn.request.id", e.RequestID),
	)
	if route := c.FullPath(); route != "" {
		attributes = append(attributes, attribute.String("http.route", route))
	}
	if e.Principal != nil {
		attributes = append(attributes, attribute.String("txn.business.id", e.Principal.BusinessID.String()))
	}
	if e.Replayed {
		attributes = append(attributes, attribute.Bool("txn.replayed", true))
	}
	if e.Err != nil {
		attributes = append(attributes, attribute.String("txn.error.code", string(e.codeOf())))
	}
	if status >= http.StatusInternalServerError {
		attributes = append(attributes, attribute.String("error.type", string(e.codeOf())))
		span.SetStatus(codes.Error, "") // the reason may tell of what is inside; the log has it
	}
	span.SetAttributes(attributes...)
}

// spanMethod is _OTHER for what HTTP does not define, as the conventions want it.
func spanMethod(method string) string {
	if method = methodOf(method); method == "OTHER" {
		return "_OTHER"
	}
	return method
}
