package telemetry

import (
	"context"
	"io"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

func newTracing(t *testing.T, ratio float64) *Tracing {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	tracing, err := NewTracing(t.Context(), TracingOptions{
		URL: "http://127.0.0.1:1/v1/traces", SampleRatio: ratio, Service: "test", Version: "v0", Metrics: prometheus.NewRegistry(), Log: log,
	})
	require.NoError(t, err)
	t.Cleanup(tracing.Close)
	return tracing
}

func TestWithoutACollectorThereIsNothing(t *testing.T) {
	t.Parallel()
	tracing, err := NewTracing(t.Context(), TracingOptions{})
	require.NoError(t, err)
	require.Nil(t, tracing)
	if tracing.Tracer() != nil { // require.Nil takes an interface around nil, too
		t.Error("who makes spans compares with nil")
	}
	tracing.Close()
}

// TestWhoDecides: the caller, then the ratio; and a commit goes with its operations.
func TestWhoDecides(t *testing.T) {
	t.Parallel()
	within := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, Remote: true})
	}
	sampled := func(tracing *Tracing, ctx context.Context, options ...trace.SpanStartOption) bool {
		_, span := tracing.Tracer().Start(ctx, "test", options...)
		defer span.End()
		return span.SpanContext().IsSampled()
	}
	never, always := newTracing(t, 0), newTracing(t, 1)
	require.False(t, sampled(never, t.Context()))
	require.True(t, sampled(always, t.Context()))
	require.True(t, sampled(never, trace.ContextWithRemoteSpanContext(t.Context(), within(trace.FlagsSampled))))
	require.False(t, sampled(always, trace.ContextWithRemoteSpanContext(t.Context(), within(0))))
	link := func(flags trace.TraceFlags) trace.SpanStartOption {
		return trace.WithLinks(trace.Link{SpanContext: within(flags)})
	}
	require.True(t, sampled(never, t.Context(), link(0), link(trace.FlagsSampled)))
	require.False(t, sampled(never, t.Context(), link(0)))
	require.False(t, sampled(never, trace.ContextWithRemoteSpanContext(t.Context(), within(0)), link(trace.FlagsSampled)), "of a child the parent decides")
}
