package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
)

// TestAbuseByIdleConnections: ten thousand connections that have been used and are kept.
func TestAbuseByIdleConnections(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	s.goOn(func(int) {
		connections := openIdle(s, idleConnections(t))
		defer hangUp(connections)
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.command.Process.Pid))
		t.Logf("%d connections, %d files are open", len(connections), len(open))
		if err == nil { // Linux
			require.Less(t, len(open), 5000, "those that waited longest are closed")
		}
		s.requireService()
	})
	s.lift()
}

// idleConnections is ten thousand, or half of the files that this process may open.
func idleConnections(t *testing.T) int {
	t.Helper()
	const wanted = 10_000
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)) // Go has raised it as far as it may
	return min(wanted, int(limit.Cur/2))
}

// openIdle opens connections, makes a request on each and leaves them open.
func openIdle(s *siege, n int) []net.Conn {
	s.t.Helper()
	connections := make([]net.Conn, n)
	var next atomic.Int64
	var opening sync.WaitGroup
	for range 64 {
		opening.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				connection, err := s.dial("GET /livez HTTP/1.1\r\nHost: txn\r\n\r\n")
				if err != nil {
					s.t.Errorf("connection %d: %v", i, err)
					return
				}
				connections[i] = connection
				answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
				if err != nil || answer.StatusCode != http.StatusOK {
					s.t.Errorf("connection %d: %v", i, err)
					return
				}
				_ = answer.Body.Close()
			}
		})
	}
	opening.Wait()
	require.False(s.t, s.t.Failed())
	return connections
}

func hangUp(connections []net.Conn) {
	for _, connection := range connections {
		_ = connection.Close()
	}
}

// TestAbuseBySlowRequests: requests that begin and do not go on, in their header and in
// their body, of every size.
func TestAbuseBySlowRequests(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	head := "POST /v1/transactions/batch HTTP/1.1\r\nHost: txn\r\nContent-Type: application/json\r\nIdempotency-Key: slow\r\nAuthorization: Bearer " +
		s.attacker.key + "\r\n"
	s.goOn(func(int) {
		var connections []net.Conn
		defer func() { hangUp(connections) }()
		for range 250 {
			for _, begun := range []string{
				"POST /v1/transactions HTTP/1.1\r\nHost: txn\r\nX-",
				head + "Content-Length: 1000\r\n\r\n{",
				head + "Content-Length: 65536\r\n\r\n" + strings.Repeat(" ", 60_000),
				head + "Content-Length: 8388608\r\n\r\n" + strings.Repeat(" ", 60_000),
				head + "Transfer-Encoding: chunked\r\n\r\n10000\r\n" + strings.Repeat(" ", 60_000),
			} {
				connection, err := s.dial(begun)
				require.NoError(t, err)
				connections = append(connections, connection)
			}
		}
		s.requireService()
	})
	s.lift()
}

// TestAbuseByHugeHeaders: headers without end.
func TestAbuseByHugeHeaders(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	s.goOn(func(int) {
		var refused atomic.Int64
		var sending sync.WaitGroup
		for range 100 {
			sending.Go(func() {
				connection, err := s.dial("GET /livez HTTP/1.1\r\nHost: txn\r\nX-Large: ")
				if err != nil {
					t.Error(err)
					return
				}
				defer connection.Close()
				go func() { // until the API has had enough
					part := []byte(strings.Repeat("a", 64<<10))
					for range 256 {
						if _, err := connection.Write(part); err != nil {
							return
						}
					}
				}()
				answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
				if err == nil {
					_ = answer.Body.Close()
				}
				// Whoever is still writing may see the connection break instead.
				if err != nil || answer.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
					refused.Add(1)
				}
			})
		}
		sending.Wait()
		require.EqualValues(t, 100, refused.Load())
	})
	s.lift()
}

// TestAbuseByHostileBodies: bodies that are made to take many times their size.
func TestAbuseByHostileBodies(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	const large, small = 8 << 20, 1 << 20
	fill := func(size int, before, repeated, after string) string {
		return before + strings.Repeat(repeated, (size-len(before)-len(after))/len(repeated)) + after
	}
	names := func(size int, before string) string {
		var b strings.Builder
		b.WriteString(before)
		for n := 0; b.Len() < size-32; n++ {
			fmt.Fprintf(&b, `"%x":"",`, n)
		}
		return b.String() + `"z":""`
	}
	bodies := map[string]struct {
		path, body string
		status     int
	}{
		"nested lists":        {"/v1/transactions/batch", fill(large, "", "[", ""), 400},
		"nested objects":      {"/v1/transactions/batch", fill(large, "", `{"transactions":`, ""), 400},
		"nested where asked":  {"/v1/transactions", fill(small, `{"metadata":{"a":`, `{"a":`, ""), 400},
		"tiny items":          {"/v1/transactions/batch", fill(large, `{"transactions":[{}`, `,{}`, `]}`), 422},
		"null items":          {"/v1/transactions/batch", fill(large, `{"transactions":[null`, `,null`, `]}`), 422},
		"many pairs":          {"/v1/transactions", names(small, `{"metadata":{`) + "}}", 422},
		"many pairs in items": {"/v1/transactions/batch", names(large, `{"transactions":[{"metadata":{`) + "}}]}", 422},
		"unknown members":     {"/v1/transactions/batch", names(large, `{`) + "}", 400},
		"tiny event types":    {"/v1/webhooks", fill(small, `{"url":"https://example.com","event_types":[""`, `,""`, `]}`), 422},
		"tiny scopes":         {"/v1/api-keys", fill(small, `{"name":"a","scopes":[""`, `,""`, `]}`), 403},
		"a long number":       {"/v1/transactions", fill(small, `{"amount":1`, `0`, `}`), 400},
		"a long text":         {"/v1/transactions", fill(small, `{"type":"credit","amount":1,"description":"`, `\u0041`, `"}`), 422},
		"white space":         {"/v1/transactions/batch", fill(large, "", " ", ""), 400},
		"too large":           {"/v1/transactions/batch", fill(large+1, " ", " ", ""), 413},
	}
	s.goOn(func(round int) {
		for name, test := range bodies {
			require.LessOrEqual(t, len(test.body), large+1, name)
			var sending sync.WaitGroup
			for n := range 6 {
				sending.Go(func() {
					status, _, answer, err := s.attacker.call("POST", s.url+test.path, fmt.Sprintf("%s-%d-%d", name, round, n), test.body)
					if err != nil || status != test.status && status != http.StatusServiceUnavailable {
						t.Errorf("%s: %d %v %.300s", name, status, err, answer)
					}
					if len(answer) > 64<<10 {
						t.Errorf("%s: the answer has %d bytes", name, len(answer))
					}
				})
			}
			sending.Wait()
			t.Logf("%s: %d MiB", name, telemetrytest.Resident(t, s.process.command.Process.Pid, "VmHWM")>>20)
		}
	})
	s.lift()
}

// TestAbuseByLargeBatches: two tenants send far more of the largest batches than there
// is memory for.
func TestAbuseByLargeBatches(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	accomplice := s.customer()
	s.goOn(func(round int) {
		var done, refused [2]atomic.Int64
		var sending sync.WaitGroup
		for i, attacker := range []*customer{s.attacker, accomplice} {
			body := largeBatch(attacker.accounts)
			for n := range 6 {
				sending.Go(func() {
					status, header, answer, err := attacker.call("POST", s.url+"/v1/transactions/batch", fmt.Sprintf("batch-%d-%d", round, n), body)
					switch {
					case err == nil && status == http.StatusCreated:
						done[i].Add(1)
					case err == nil && status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
						refused[i].Add(1)
					default:
						t.Errorf("batch %d: %d %v %.300s", n, status, err, answer)
					}
				})
			}
		}
		sending.Wait()
		for i := range done {
			t.Logf("%d batches of one tenant done, %d refused", done[i].Load(), refused[i].Load())
			require.Positive(t, done[i].Load())
		}
	})
	s.lift()
}

// TestAbuseByLargePages: pages of the largest objects, as many rows as may be asked for
// and more, by callers who do not read them.
func TestAbuseByLargePages(t *testing.T) {
	t.Parallel()
	s := besiege(t)
	metadata := make(map[string]string)
	for n := range 50 {
		metadata[fmt.Sprintf("key-%d", n)] = strings.Repeat("😀", 500)
	}
	item, err := json.Marshal(map[string]any{"type": "credit", "amount": 1, "destination_account_id": s.attacker.accounts[0], "metadata": metadata})
	require.NoError(t, err)
	for n := range 3 {
		status, _, answer, err := s.attacker.call("POST", s.url+"/v1/transactions/batch", fmt.Sprintf("fill-%d", n),
			`{"transactions":[`+strings.Repeat(string(item)+",", 66)+string(item)+`]}`)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, status, "%.300s", answer)
	}
	status, _, answer, err := s.attacker.call("GET", s.url+"/v1/transactions?limit=100000000", "", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, status, "%s", answer)
	t.Logf("before: %d MiB", telemetrytest.Resident(t, s.process.command.Process.Pid, "VmHWM")>>20)

	accomplice := s.customer()
	s.goOn(func(int) {
		var connections []net.Conn
		defer func() { hangUp(connections) }()
		for n := range 64 {
			key := []string{s.attacker.key, accomplice.key}[n%2]
			connection, err := s.dial("GET /v1/transactions?limit=200 HTTP/1.1\r\nHost: txn\r\nAuthorization: Bearer " + key + "\r\n\r\n")
			require.NoError(t, err)
			connections = append(connections, connection)
			if n == 0 {
				first := make([]byte, 1)
				_, err = connection.Read(first)
				require.NoError(t, err, "it has begun")
			}
		}
		s.requireService()
	})
	s.lift()
}

// largeBatch is a batch of as many and as large items as fit into 8 MiB.
func largeBatch(accounts [2]string) string {
	metadata := make(map[string]string)
	for n := range 16 {
		metadata[fmt.Sprintf("key-%d", n)] = strings.Repeat("v", 485)
	}
	item, _ := json.Marshal(map[string]any{
		"type": "transfer", "amount": 1, "source_account_id": accounts[0], "destination_account_id": accounts[1], "metadata": metadata,
	}, json.Deterministic(true))
	return `{"transactions":[` + strings.Repeat(string(item)+",", 999) + string(item) + `]}`
}
