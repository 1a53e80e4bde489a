package telemetrytest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/txn-service/txn/pkg/disclosure"
)

// patience is how long spans may take to arrive: processes send them every second.
const patience = 20 * time.Second

// Collector is an OTLP receiver for traces.
type Collector struct {
	// URL is what otel.endpoint takes.
	URL string

	mu     sync.Mutex
	raw    []byte
	spans  []Span
	faults []error
}

// Span is a span as it arrived, with the service that sent it.
type Span struct {
	*tracepb.Span
	Service string
}

// NewCollector starts a collector, which ends with the test, and fails it if a
// secret was sent.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.take)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		require.Empty(t, disclosure.In(string(c.Raw())), "the traces tell secrets")
	})
	c.URL = server.URL
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.faults = append(c.faults, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.raw = append(c.raw, body...)
	for _, resource := range request.GetResourceSpans() {
		service := find(resource.GetResource().GetAttributes(), "service.name").GetStringValue()
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans = append(c.spans, Span{Span: span, Service: service})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(http.StatusOK)
}

// Raw returns every byte that was sent.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.raw)
}

// Spans returns what has arrived so far.
func (c *Collector) Spans(t testing.TB) []Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.faults, "the collector understands what it gets")
	return slices.Clone(c.spans)
}

// Await returns the spans that match once there are so many.
func (c *Collector) Await(t testing.TB, n int, matches func(Span) bool) []Span {
	t.Helper()
	var found []Span
	require.Eventually(t, func() bool {
		found = slices.DeleteFunc(c.Spans(t), func(s Span) bool { return !matches(s) })
		return len(found) >= n
	}, patience, 10*time.Millisecond, "the spans do not arrive")
	return found
}

// Named matches spans of a service by their name.
func Named(service, name string) func(Span) bool {
	return func(s Span) bool { return s.Service == service && s.GetName() == name }
}

// Trace is the span's trace id in hexadecimal, as logs and headers have it.
func (s Span) Trace() string { return hex.EncodeToString(s.GetTraceId()) }

// ID is the span's id in hexadecimal.
func (s Span) ID() string { return hex.EncodeToString(s.GetSpanId()) }

// Parent is the id of the span's parent in hexadecimal, empty for none.
func (s Span) Parent() string { return hex.EncodeToString(s.GetParentSpanId()) }

// LinksTo reports whether the span has a link to another.
func (s Span) LinksTo(other Span) bool {
	return slices.ContainsFunc(s.GetLinks(), func(l *tracepb.Span_Link) bool {
		return string(l.GetTraceId()) == string(other.GetTraceId()) && string(l.GetSpanId()) == string(other.GetSpanId())
	})
}

// Text is an attribute that is a text, empty when there is none.
func (s Span) Text(name string) string { return find(s.GetAttributes(), name).GetStringValue() }

// Number is an attribute that is an integer, 0 when there is none.
func (s Span) Number(name string) int64 { return find(s.GetAttributes(), name).GetIntValue() }

func find(attributes []*commonpb.KeyValue, name string) *commonpb.AnyValue {
	for _, attribute := range attributes {
		if attribute.GetKey() == name {
			return attribute.GetValue()
		}
	}
	return nil
}
