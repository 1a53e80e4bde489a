package load

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseWrk(t *testing.T) {
	t.Parallel()
	const good = `RESULT {"requests":1000,"duration_us":2000000,"p50_us":1500,"p99_us":9000,` +
		`"connect":0,"read":0,"write":0,"status":0,"timeout":0}`
	sample, err := parseWrk("Running 2s test\n"+good+"\n", 1)
	require.NoError(t, err)
	require.Equal(t, Sample{Rate: 500, P50: 1500 * time.Microsecond, P99: 9 * time.Millisecond, Done: 1000}, sample)

	sample, err = parseWrk(good, 100)
	require.NoError(t, err)
	require.InDelta(t, 50_000, sample.Rate, 0)
	require.Equal(t, int64(100_000), sample.Done)

	for name, out := range map[string]string{
		"nothing":  "Running 2s test\n",
		"garbage":  "RESULT nil",
		"refused":  `RESULT {"requests":10,"duration_us":1,"status":1}`,
		"timeouts": `RESULT {"requests":10,"duration_us":1,"timeout":1}`,
		"broken":   `RESULT {"requests":10,"duration_us":1,"read":1}`,
		"idle":     `RESULT {"requests":0,"duration_us":1}`,
	} {
		_, err := parseWrk(out, 1)
		require.Error(t, err, name)
	}
}

// movement is one transfer as the script writes it.
type movement struct {
	Type        string `json:"type"`
	Source      string `json:"source_account_id"`
	Destination string `json:"destination_account_id"`
	Amount      int64  `json:"amount"`
}

// sent is a request that wrk made.
type sent struct {
	path, key, authorization string
	body                     []byte
}

// capture runs a load against a server that keeps every request.
func capture(t *testing.T, load Transfers, status int) (Sample, []sent, error) {
	t.Helper()
	wrk, err := NewWrk(t.TempDir())
	if errors.Is(err, ErrWrkNotFound) {
		t.Skip(err)
	}
	require.NoError(t, err)
	var mu sync.Mutex
	var requests []sent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut off by the end of the run
		}
		mu.Lock()
		requests = append(requests, sent{r.URL.Path, r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), body})
		mu.Unlock()
		w.WriteHeader(status)
	}))
	defer server.Close()
	sample, err := wrk.Run(t.Context(), server.URL, load, time.Second)
	server.Close()
	return sample, requests, err
}

func TestWrkSendsTransfers(t *testing.T) {
	t.Parallel()
	tenants := []Tenant{{Key: "one", Accounts: []string{"a", "b", "c"}}, {Key: "two", Accounts: []string{"x", "y"}}}
	sample, requests, err := capture(t, Transfers{Tenants: tenants, Connections: 2}, http.StatusCreated)
	require.NoError(t, err)
	require.Positive(t, sample.Rate)
	require.Positive(t, sample.P50)
	require.LessOrEqual(t, sample.Done, int64(len(requests)))
	owner := map[string]string{"a": "one", "b": "one", "c": "one", "x": "two", "y": "two"}
	keys, sources := map[string]bool{}, map[string]bool{}
	for _, r := range requests {
		var m movement
		require.NoError(t, json.Unmarshal(r.body, &m))
		require.Equal(t, "/v1/transactions", r.path)
		require.Equal(t, "transfer", m.Type)
		require.Equal(t, int64(1), m.Amount)
		require.NotEqual(t, m.Source, m.Destination)
		require.Equal(t, "Bearer "+owner[m.Source], r.authorization)
		require.Equal(t, owner[m.Source], owner[m.Destination])
		require.False(t, keys[r.key], "a key was used twice")
		keys[r.key], sources[m.Source] = true, true
	}
	require.Len(t, sources, len(owner))
}

func TestWrkHot(t *testing.T) {
	t.Parallel()
	tenants := []Tenant{{Key: "one", Accounts: []string{"a", "b", "c"}}}
	_, requests, err := capture(t, Transfers{Tenants: tenants, Connections: 2, Hot: true}, http.StatusCreated)
	require.NoError(t, err)
	destinations := map[string]bool{}
	for _, r := range requests {
		var m movement
		require.NoError(t, json.Unmarshal(r.body, &m))
		require.Equal(t, "a", m.Source)
		destinations[m.Destination] = true
	}
	require.Equal(t, map[string]bool{"b": true, "c": true}, destinations)
}

func TestWrkBatches(t *testing.T) {
	t.Parallel()
	tenants := []Tenant{{Key: "one", Accounts: []string{"a", "b", "c"}}}
	sample, requests, err := capture(t, Transfers{Tenants: tenants, Connections: 2, Batch: 7}, http.StatusCreated)
	require.NoError(t, err)
	require.Zero(t, sample.Done%7)
	for _, r := range requests {
		require.Equal(t, "/v1/transactions/batch", r.path)
		var batch struct{ Transactions []movement }
		require.NoError(t, json.Unmarshal(r.body, &batch))
		require.Len(t, batch.Transactions, 7)
	}
}

func TestWrkFailsOnRefusals(t *testing.T) {
	t.Parallel()
	tenants := []Tenant{{Key: "one", Accounts: []string{"a", "b"}}}
	_, _, err := capture(t, Transfers{Tenants: tenants, Connections: 1}, http.StatusTooManyRequests)
	require.ErrorContains(t, err, "refused")
}

func TestWrkSharesConnections(t *testing.T) {
	t.Parallel()
	wrk, err := NewWrk(t.TempDir())
	if errors.Is(err, ErrWrkNotFound) {
		t.Skip(err)
	}
	require.NoError(t, err)
	var counts [2]atomic.Int64
	var urls []string
	for i := range counts {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			counts[i].Add(1)
			w.WriteHeader(http.StatusCreated)
		}))
		t.Cleanup(server.Close)
		urls = append(urls, server.URL)
	}
	load := Transfers{Tenants: []Tenant{{Key: "one", Accounts: []string{"a", "b"}}}, Connections: 4}
	sample, err := wrk.RunOn(t.Context(), urls, load, time.Second)
	require.NoError(t, err)
	require.Positive(t, counts[0].Load())
	require.Positive(t, counts[1].Load())
	// What was under way at the end was counted by the servers alone.
	require.InDelta(t, counts[0].Load()+counts[1].Load(), sample.Done, 4)
}
