package ledger

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/outbox"
)

// A commit serves many requests, so it is part of no trace but one of its own: it
// links to the operations in it that are sampled, and they link back. An operation
// that is not sampled has no trace here, and everything below is a comparison of a
// pointer with nil for it; without a tracer its context is not even asked.

// operationTrace is the span of one sampled operation. The committer writes what it
// learns into it while the operation is claimed, and the caller reads it once it is
// finished.
type operationTrace struct {
	span trace.Span
	// context is what the operation's events keep.
	context *string
	// since is when a committer first took the operation.
	since time.Time
	// commits are those that it was in: a second one when its account was locked by
	// somebody else. operations is the size of the last, runs counts how often its
	// statements were sent.
	commits    []trace.SpanContext
	operations int
	runs       int
}

// traceOperation begins the span of an operation, nil when it is not sampled.
func (l *Ledger) traceOperation(ctx context.Context, name string, p *pending) *operationTrace {
	if l.options.Tracer == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	ctx, span := l.options.Tracer.Start(ctx, name, trace.WithTimestamp(p.since), trace.WithAttributes(
		attribute.Int("txn.ledger.items", p.items), attribute.String("txn.business.id", p.business.String())))
	return &operationTrace{span: span, context: outbox.TraceContext(ctx)}
}

// kept is what the operation's events keep.
func (t *operationTrace) kept() *string {
	if t == nil {
		return nil
	}
	return t.context
}

// end closes the span with what became of the operation.
func (t *operationTrace) end(p *pending, result Result, err error) {
	if t == nil {
		return
	}
	for _, commit := range t.commits {
		t.span.AddLink(trace.Link{SpanContext: commit})
	}
	if !t.since.IsZero() {
		t.span.SetAttributes(
			attribute.Float64("txn.ledger.queue_seconds", t.since.Sub(p.since).Seconds()),
			attribute.Int("txn.ledger.batch_operations", t.operations),
			attribute.Int("txn.ledger.runs", t.runs))
	}
	if result.Replayed {
		t.span.SetAttributes(attribute.Bool("txn.replayed", true))
	}
	if err != nil {
		code := errs.CodeOf(err)
		t.span.SetAttributes(attribute.String("txn.error.code", string(code)))
		if code == errs.Unavailable || code == errs.Internal {
			t.span.SetStatus(codes.Error, "") // a refusal is an answer like any other
		}
	}
	t.span.End()
}

// commitTrace is the span of a commit that sampled operations are in.
type commitTrace struct {
	span trace.Span
	runs int
}

// laneNames are the lanes as spans name them.
var laneNames = [...]string{shared: "shared", patient: "patient"}

// traceCommit begins the span of a batch, nil when nothing in it is sampled.
func (l *Ledger) traceCommit(kind lane, batch []*pending, at time.Time) *commitTrace {
	if l.options.Tracer == nil {
		return nil
	}
	var links []trace.Link
	items := 0
	for _, p := range batch {
		items += p.items
		if p.trace != nil {
			links = append(links, trace.Link{SpanContext: p.trace.span.SpanContext()})
		}
	}
	if links == nil {
		return nil
	}
	_, span := l.options.Tracer.Start(context.Background(), "ledger.commit", trace.WithTimestamp(at), trace.WithLinks(links...), trace.WithAttributes(
		attribute.String("txn.ledger.lane", laneNames[kind]),
		attribute.Int("txn.ledger.batch_operations", len(batch)),
		attribute.Int("txn.ledger.items", items)))
	for _, p := range batch {
		if t := p.trace; t != nil {
			t.commits, t.operations = append(t.commits, span.SpanContext()), len(batch)
			if t.since.IsZero() {
				t.since = at
			}
		}
	}
	return &commitTrace{span: span}
}

// run counts that statements of the batch, or of a part of it, are sent.
func (t *commitTrace) run(batch []*pending) {
	if t == nil {
		return
	}
	t.runs++
	for _, p := range batch {
		if p.trace != nil {
			p.trace.runs++
		}
	}
}

// end closes the span.
func (t *commitTrace) end() {
	if t == nil {
		return
	}
	t.span.SetAttributes(attribute.Int("txn.ledger.runs", t.runs))
	t.span.End()
}
