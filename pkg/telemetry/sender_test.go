package telemetry

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

func TestHeadersForTheCollector(t *testing.T) {
	t.Parallel()
	header, err := parseHeaders("authorization=Bearer%20hunter2, x-team = payments,")
	require.NoError(t, err)
	require.Equal(t, http.Header{"Authorization": {"Bearer hunter2"}, "X-Team": {"payments"}}, header)
	header, err = parseHeaders("")
	require.NoError(t, err)
	require.Empty(t, header)
	for _, bad := range []string{"hunter2", "a b=hunter2", "a=hunter2%0a", "a=hunter2%zz", "=hunter2"} {
		_, err := parseHeaders(bad)
		require.ErrorContains(t, err, headersVariable)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// TestWhatACollectorHasNoRoomForIsSentAgain, and nothing else is.
func TestWhatACollectorHasNoRoomForIsSentAgain(t *testing.T) {
	t.Parallel()
	for first, requests := range map[int]int32{
		http.StatusOK: 1, http.StatusServiceUnavailable: 2, http.StatusTooManyRequests: 2, http.StatusBadRequest: 1, http.StatusFound: 1,
	} {
		var seen atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if seen.Add(1) == 1 {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(first)
			}
		}))
		s, err := newSender(server.URL)
		require.NoError(t, err)
		err = s.UploadTraces(t.Context(), []*tracepb.ResourceSpans{{}})
		require.Equal(t, requests, seen.Load(), first)
		if first == http.StatusOK || requests == 2 {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "the collector answered")
		}
		require.NoError(t, s.Stop(t.Context()))
		require.ErrorIs(t, s.UploadTraces(t.Context(), nil), errSenderStopped)
		server.Close()
	}
}

// TestStopCutsOffWhatIsUnderWay, while the collector thinks.
func TestStopCutsOffWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	arrived, over := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	s, err := newSender(server.URL)
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- s.UploadTraces(t.Context(), []*tracepb.ResourceSpans{{}}) }()
	<-arrived
	require.NoError(t, s.Stop(t.Context()))
	select {
	case err := <-result:
		require.Error(t, err)
	case <-time.After(sendTimeout):
		t.Error("it waits for the collector")
	}
}
