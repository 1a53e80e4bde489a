package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
	"github.com/txn-service/txn/pkg/webhook"
)

// hostile serves every connection with a function that knows no limits: it ends
// when the other side hangs up. sent counts the bytes of all answers.
func hostile(t *testing.T, answer func(io.ReadWriter)) (url string, sent *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	sent = &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, request.Body)
				answer(countingWriter{conn, sent})
			}()
		}
	}()
	return "http://" + listener.Addr().String(), sent
}

type countingWriter struct {
	net.Conn
	sent *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.sent.Add(int64(n))
	return n, err
}

// drip writes a byte every so often, for ever.
func drip(w io.ReadWriter) {
	for {
		if _, err := io.WriteString(w, "x"); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// pour writes as fast as it can, a gigabyte.
func pour(w io.Writer) {
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	for range 1 << 14 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// bomb is a gigabyte of zeros as a megabyte.
func bomb(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := io.Copy(writer, io.LimitReader(zeros{}, 1<<30/16)) // sixteen members, which readers join
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return bytes.Repeat(packed.Bytes(), 16)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Half of the endpoints do what they can to keep a dispatcher busy (F8): attempts
// on them end by the timeout or the limits, the memory stays where it was, and the
// other half is served meanwhile.
func TestHostileReceiversHoldNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	packed := bomb(t)
	const ok = "HTTP/1.1 200 OK\r\n"
	traps := map[string]func(io.ReadWriter){
		"slow headers": drip,
		"slow body":    func(c io.ReadWriter) { _, _ = io.WriteString(c, ok+"\r\n"); drip(c) },
		"slow chunks": func(c io.ReadWriter) {
			_, _ = io.WriteString(c, ok+"Transfer-Encoding: chunked\r\n\r\nffffff\r\n")
			drip(c)
		},
		"no protocol": func(c io.ReadWriter) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 So\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
			drip(c)
		},
		"a gigabyte":      func(c io.ReadWriter) { _, _ = io.WriteString(c, ok+"Content-Length: 1073741824\r\n\r\n"); pour(c) },
		"endless headers": func(c io.ReadWriter) { _, _ = io.WriteString(c, ok+"X: "); pour(c) },
		"a bomb": func(c io.ReadWriter) {
			_, _ = io.WriteString(c, ok+"Content-Encoding: gzip\r\nContent-Length: "+strconv.Itoa(len(packed))+"\r\n\r\n")
			_, _ = c.Write(packed)
		},
	}
	counters := map[string]*atomic.Int64{}
	for name, answer := range traps {
		url, sent := hostile(t, answer)
		counters[name] = sent
		w.register(url, func(f *webhook.Fields) { f.Description = &name })
	}
	for range traps {
		w.endpoint(0)
	}
	const timeout = time.Second
	p := spawn(t, w.url, "TXN_WEBHOOKS_TIMEOUT="+timeout.String(), "TXN_WEBHOOKS_RETRY_SCHEDULE=1s,1s")
	before := telemetrytest.Resident(t, p.command.Process.Pid, "VmRSS")
	events := scaled(200, 5000)
	w.events(events)
	for _, e := range w.all {
		require.Eventually(t, func() bool { return e.count() == events }, scaled(time.Minute, time.Hour), 5*time.Millisecond)
	}
	require.Positive(t, w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`), "nobody waited for the others")
	if before > 0 {
		require.Less(t, telemetrytest.Resident(t, p.command.Process.Pid, "VmHWM")-before, memoryBound)
	}
	p.stop(t)
	sum := w.account()
	require.Equal(t, sum.committed, sum.received)
	require.Less(t, w.number(`SELECT max(latency_ms) FROM webhook_attempts`), int(10*timeout.Milliseconds()), "however busy the machine is")
	require.LessOrEqual(t, w.number(`SELECT max(octet_length(response_body)) FROM webhook_attempts`), 3*4<<10)
	for name := range traps {
		attempts := w.number(`SELECT count(*) FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery_id
			JOIN webhooks w ON w.id = d.webhook_id WHERE w.description = $1`, name)
		require.Positive(t, attempts, name)
		// What the dispatcher did not read lies in the buffers of two sockets.
		require.Less(t, counters[name].Load(), int64(attempts+testSlots)*16<<20, name)
	}
}

// unanswered is an address where connections are never even accepted: the queue
// of its socket is full.
func unanswered(t *testing.T) (url string) {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(socket) })
	require.NoError(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(socket, 0))
	name, err := syscall.Getsockname(socket)
	require.NoError(t, err)
	address := "127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
	for range 64 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Skip("this system takes any number of connections")
	return ""
}

// Two endpoints with a backlog swallow everything, one whatever it is sent, one
// whoever calls (F7). Their backlogs cost them a probe per cool-off; the others
// are served as if they were not there.
func TestABlackHoleCostsItsProbes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	silent, _ := hostile(t, func(c io.ReadWriter) { _, _ = c.Read(make([]byte, 1)) })
	for _, url := range []string{silent, unanswered(t)} {
		w.register(url)
	}
	backlog := scaled(2000, 100_000)
	for range backlog / 500 {
		require.True(t, w.commit(0, 500))
	}
	p := spawn(t, w.url, "TXN_WEBHOOKS_TIMEOUT=1s", "TXN_WEBHOOKS_RETRY_SCHEDULE=1h,1h")
	w.becomes(scaled(time.Minute, 10*time.Minute), 2*backlog, `SELECT count(*) FROM webhook_deliveries`)
	for range scaled(10, 98) {
		w.endpoint(0)
	}
	before := len(w.committed)
	stop := w.produce(scaled(100, 10))
	time.Sleep(scaled(2*time.Second, time.Minute))
	stop()
	later := len(w.committed) - before
	for _, e := range w.all {
		require.Eventually(t, func() bool { return e.count() == later }, time.Minute, 5*time.Millisecond)
	}
	p.stop(t)
	require.Positive(t, later)
	require.Less(t, w.number(`SELECT sum(attempt_count) FROM webhook_deliveries WHERE webhook_id <> ALL ($1)`, w.ids()), 100)
	require.Equal(t, 2*(backlog+later), w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`), "nothing of it is lost")
	require.Zero(t, w.number(`SELECT count(*) FROM witness`))
}
