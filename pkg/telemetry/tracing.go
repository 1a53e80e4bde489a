package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names the code that makes the spans, as OpenTelemetry wants it.
const scope = "github.com/txn-service/txn"

// Bounds of the way to the collector. What it does not take in time is lost: nobody
// ever waits for the queue.
const (
	spanQueue     = 4096
	spanBatch     = 512
	spanInterval  = time.Second // between two exports, when there is little
	sendTimeout   = 5 * time.Second
	exportTimeout = 10 * time.Second // repetitions included
	firstPause    = 500 * time.Millisecond
	lastPause     = 2 * time.Second
	flushTimeout  = 2 * time.Second // at the end of the process
)

// TracingOptions say where spans go.
type TracingOptions struct {
	// URL is where an OTLP/HTTP collector takes traces; empty means that there are
	// none.
	URL string
	// SampleRatio is how many of the traces that begin here are sampled, from 0 to
	// 1. Of a trace that a caller began, the caller decides.
	SampleRatio float64
	// Service and Version name the process.
	Service, Version string
	// Metrics counts spans, Log hears when the collector is away. Both are required.
	Metrics prometheus.Registerer
	Log     logrus.FieldLogger
}

// Tracing sends spans to a collector. A nil *Tracing sends none.
type Tracing struct {
	provider *sdktrace.TracerProvider
	exporter *exporter
	tracer   trace.Tracer
}

// NewTracing connects to nothing yet: a process starts and works while the
// collector is away. It returns nil when there is no URL.
//
// What it costs: without it, one comparison with nil per request, operation, batch
// and delivery attempt, and nothing is allocated; the SDK is not even set up. With
// it, a request that is not sampled costs the look at its headers and an id; a
// sampled movement two spans and its share of a third, and 55 bytes in the row of
// each event.
//
// Headers for the collector come from OpenTelemetry's own OTEL_EXPORTER_OTLP_HEADERS.
func NewTracing(ctx context.Context, options TracingOptions) (*Tracing, error) {
	if options.URL == "" {
		return nil, nil
	}
	sender, err := newSender(options.URL)
	if err != nil {
		return nil, err
	}
	through, err := otlptrace.New(ctx, sender)
	if err != nil {
		return nil, fmt.Errorf("starting the export of traces: %w", err)
	}
	counts := newSpanCounts(options.Metrics)
	out := &exporter{SpanExporter: through, exported: counts.exported, log: options.Log}
	limits := sdktrace.NewSpanLimits()
	limits.LinkCountLimit = -1 // a commit links to all its operations, which ledger.max_batch bounds
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.namespace", "txn"),
			attribute.String("service.name", options.Service),
			attribute.String("service.version", options.Version),
		)),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSampler(sampler{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(options.SampleRatio))}),
		sdktrace.WithSpanProcessor(counter{sdktrace.NewBatchSpanProcessor(out,
			sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithMaxExportBatchSize(spanBatch),
			sdktrace.WithBatchTimeout(spanInterval), sdktrace.WithExportTimeout(exportTimeout),
		), counts.recorded}),
	)
	return &Tracing{provider: provider, exporter: out, tracer: provider.Tracer(scope, trace.WithInstrumentationVersion(options.Version))}, nil
}

// Tracer makes spans; nil when there are none to be made.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Close sends what is left. A collector that does not take it within two seconds
// does not get it.
func (t *Tracing) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.exporter.log.WithError(err).Warn("the collector did not take the last traces in time")
		_ = t.exporter.Shutdown(context.Background()) // cuts off what is under way, which has failed
	}
}

// sampler has a span that begins a trace for the sake of others, as a group commit
// does, go with those: it is sampled if any of them is.
type sampler struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if !trace.SpanContextFromContext(p.ParentContext).IsValid() {
		for _, link := range p.Links {
			if link.SpanContext.IsSampled() {
				return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
			}
		}
	}
	return s.Sampler.ShouldSample(p)
}

// spanCounts tell how many spans there are, and how many arrive.
type spanCounts struct{ recorded, exported prometheus.Counter }

func newSpanCounts(registry prometheus.Registerer) spanCounts {
	c := spanCounts{
		recorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "txn_trace_spans_recorded_total", Help: "Sampled spans that ended.",
		}),
		exported: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "txn_trace_spans_exported_total", Help: "Spans that the collector took; the others are on their way or lost.",
		}),
	}
	registry.MustRegister(c.recorded, c.exported)
	return c
}

// counter counts the spans that end.
type counter struct {
	sdktrace.SpanProcessor
	recorded prometheus.Counter
}

// OnEnd implements sdktrace.SpanProcessor.
func (c counter) OnEnd(span sdktrace.ReadOnlySpan) {
	c.recorded.Inc()
	c.SpanProcessor.OnEnd(span)
}

// exporter counts what arrives, and tells the log when the collector goes away and
// when it is back. The SDK would print every failure on standard error.
type exporter struct {
	sdktrace.SpanExporter
	exported prometheus.Counter
	log      logrus.FieldLogger
	failing  bool // the SDK exports one batch at a time
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: nothing could be
// done about it.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err == nil:
		e.exported.Add(float64(len(spans)))
		if e.failing {
			e.log.Info("the collector takes traces again")
		}
	case !e.failing:
		e.log.WithError(err).Warn("the collector does not take traces; they are lost until it does")
	}
	e.failing = err != nil
	return nil
}
