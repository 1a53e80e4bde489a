package dispatch

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// attemptTrace is the span of one attempt; nil is none.
type attemptTrace struct{ span trace.Span }

// traceAttempt begins the span of an attempt and names it to the endpoint in the
// request's traceparent and tracestate (W3C Trace Context). It returns nil when the
// event was not made in a sampled span: who made the event decides. What is not
// traced costs a comparison with nil.
//
// The span is a child of the one in which the event was made. The conventions
// (OpenTelemetry semantic conventions, "Messaging spans", consumer spans) ask for a
// link there, because a span that processes many messages has no one parent. An
// attempt is about one message, and what it sends on is to continue the trace of
// whoever caused the event.
func (d *Dispatcher) traceAttempt(j *job, request *http.Request) *attemptTrace {
	if d.options.Tracer == nil || j.message.TraceContext == nil {
		return nil
	}
	ctx := outbox.WithTraceContext(context.Background(), *j.message.TraceContext)
	ctx, span := d.options.Tracer.Start(ctx, "webhook.attempt", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", request.Method),
		attribute.Int("http.request.resend_count", j.due.RunAttempt),
		// Of the URL the host alone: paths and queries carry tokens.
		attribute.String("server.address", request.URL.Hostname()),
		attribute.String("txn.business.id", j.key.BusinessID.String()),
		attribute.String("txn.webhook.id", j.key.WebhookID.String()),
		attribute.String("txn.event.id", j.due.EventID.String()),
		attribute.String("txn.event.type", string(j.message.Type)),
		attribute.String("txn.delivery.id", j.due.ID.String()),
		attribute.Int("txn.delivery.run", j.due.Run),
		attribute.Int("txn.delivery.attempt", j.due.AttemptCount+1)))
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(request.Header))
	return &attemptTrace{span}
}

// id is the trace's, for the log; empty for none.
func (t *attemptTrace) id() string {
	if t == nil {
		return ""
	}
	return t.span.SpanContext().TraceID().String()
}

// end closes the span with what came of the attempt.
func (t *attemptTrace) end(a *answer, v *verdict) {
	if t == nil {
		return
	}
	t.span.SetAttributes(
		attribute.String("txn.delivery.outcome", v.outcome),
		attribute.String("txn.delivery.status", string(v.status)))
	if a.status != 0 {
		t.span.SetAttributes(attribute.Int("http.response.status_code", a.status))
	}
	if v.status != models.DeliveryDelivered {
		t.span.SetAttributes(attribute.String("error.type", v.outcome))
		t.span.SetStatus(codes.Error, "") // what the endpoint said is in the log of attempts
	}
	t.span.End()
}

// abandon closes the span of an attempt that this process cut off.
func (t *attemptTrace) abandon() {
	if t == nil {
		return
	}
	t.span.SetAttributes(attribute.String("txn.delivery.outcome", "abandoned"))
	t.span.End()
}
