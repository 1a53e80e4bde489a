package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/proto"
)

// headersVariable is where OpenTelemetry's specification has the headers that a
// collector asks for: `name=value,…`, values percent-encoded.
const headersVariable = "OTEL_EXPORTER_OTLP_HEADERS"

// maxCollectorAnswer is how much of an answer is read, in bytes, for its connection
// to be used again.
const maxCollectorAnswer = 64 << 10

var errSenderStopped = errors.New("the process ends")

// sender posts spans to a collector (OTLP specification, "OTLP/HTTP"). It
// implements otlptrace.Client and is here instead of otlptracehttp, whose generated
// request links gRPC: seven megabytes of memory in each process, traced or not.
type sender struct {
	url    string
	header http.Header
	client *http.Client

	mu      sync.Mutex
	stopped bool
	cut     context.CancelFunc // ends the request under way
}

func newSender(address string) (*sender, error) {
	header, err := parseHeaders(os.Getenv(headersVariable))
	if err != nil {
		return nil, err
	}
	header.Set("Content-Type", "application/x-protobuf")
	return &sender{url: address, header: header, cut: func() {}, client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers are for the collector alone
	}}, nil
}

// parseHeaders reads the variable. No error ever quotes it: it holds credentials.
func parseHeaders(text string) (http.Header, error) {
	header := make(http.Header)
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, encoded, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("%s must be name=value pairs with commas between, percent-encoded", headersVariable)
		}
		header.Add(name, value)
	}
	return header, nil
}

// Start implements otlptrace.Client. Nothing connects yet.
func (s *sender) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client: what is under way is cut off.
func (s *sender) Stop(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.cut()
	s.client.CloseIdleConnections()
	return nil
}

func (s *sender) begin(cut context.CancelFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errSenderStopped
	}
	s.cut = cut
	return nil
}

// UploadTraces implements otlptrace.Client. What a collector has no room for now is
// sent again until ctx ends; every other failure is final.
func (s *sender) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.begin(cancel); err != nil {
		return err
	}
	// TracesData is ExportTraceServiceRequest on the wire: the one field of both.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		again, err := s.post(ctx, body)
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// post sends once; again says that the collector asks for that (OTLP specification,
// "Failures": 429, 502, 503 and 504).
func (s *sender) post(ctx context.Context, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("addressing the collector: %w", err)
	}
	request.Header = s.header
	response, err := s.client.Do(request)
	if err != nil {
		return false, fmt.Errorf("reaching the collector: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxCollectorAnswer)) // only for the connection
	if response.StatusCode/100 == 2 {
		return false, nil
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("the collector answered %d", response.StatusCode)
}
