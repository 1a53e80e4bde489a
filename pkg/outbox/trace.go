package outbox

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// An event keeps the trace in which it was made, for its deliveries may be sent by
// another process and days later. It is kept as text, so that whoever reads the
// row can look for it: 55 bytes, and only for what is sampled.

// maxTraceState is how much of other vendors' data is kept, in bytes: what W3C
// Trace Context §3.3.1.5 asks to be passed on at least.
const maxTraceState = 512

// TraceContext returns what an event keeps of the span in ctx: nil when there is
// none or it is not sampled.
func TraceContext(ctx context.Context) *string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	headers := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, headers)
	text := headers["traceparent"]
	if state := headers["tracestate"]; state != "" && len(state) <= maxTraceState {
		text += " " + state
	}
	return &text
}

// WithTraceContext returns ctx with the span that an event has kept, as that of
// another process.
func WithTraceContext(ctx context.Context, text string) context.Context {
	parent, state, _ := strings.Cut(text, " ")
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}
