package load

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newReceiver(t *testing.T) *Receiver {
	t.Helper()
	r, err := NewReceiver()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func send(t *testing.T, r *Receiver, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL()+"/any", strings.NewReader(body))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	send(t, r, "before")
	seen := make(chan string, 1)
	r.Reset(func(path string, body []byte, _ time.Time) { seen <- path + " " + string(body) })
	require.Zero(t, r.Received())
	start := time.Now()
	send(t, r, "body")
	require.Equal(t, "/any body", <-seen)
	end, err := r.Await(t.Context(), 1, time.Minute)
	require.NoError(t, err)
	require.WithinRange(t, end, start, time.Now())
}

func TestReceiverAwaitGivesUp(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	send(t, r, "one")
	_, err := r.Await(t.Context(), 2, 50*time.Millisecond)
	var stalled *StalledError
	require.ErrorAs(t, err, &stalled)
	require.Equal(t, StalledError{Received: 1, Wanted: 2, Patience: 50 * time.Millisecond}, *stalled)
}
