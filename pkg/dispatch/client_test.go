package dispatch

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// raw serves one connection after another with a function of the socket.
func raw(t *testing.T, serve func(net.Conn)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					_, _ = io.Copy(io.Discard, request.Body)
					serve(conn)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func trickle(w io.Writer, text string) {
	for range 1000 {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestHostileAnswersEndInTime(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	for name, test := range map[string]struct {
		serve    func(net.Conn)
		timedOut bool
	}{
		"silence":       {func(net.Conn) { time.Sleep(3 * time.Second) }, true},
		"slow headers":  {func(c net.Conn) { trickle(c, "X") }, true},
		"slow body":     {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); trickle(c, "x") }, true},
		"huge headers":  {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)) }, false},
		"cut body":      {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") }, false},
		"no HTTP":       {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n") }, false},
		"closes":        {func(net.Conn) {}, false},
		"endless hints": {func(c net.Conn) { trickle(c, "HTTP/1.1 100 Continue\r\n\r\n") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(newGuard(true), timeout, nil)
			start := time.Now()
			a := post(t, c, raw(t, test.serve))
			require.Less(t, time.Since(start), 2*timeout+time.Second)
			if name == "cut body" {
				require.NotEqual(t, outcomeDelivered, outcomeOf(&a), "an answer that was cut off is no answer")
			}
			require.Zero(t, a.status, "%+v", a)
			require.Error(t, a.err)
			if test.timedOut && name != "endless hints" {
				require.Equal(t, outcomeTimeout, outcomeOf(&a))
			}
			require.LessOrEqual(t, len(a.reason()), maxErrorKept+len("timeout: "))
		})
	}
}

func TestAnEndlessBodyIsCutOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("ä", 1000)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	a := post(t, newClient(newGuard(true), 5*time.Second, nil), server.URL)
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status)
	require.LessOrEqual(t, len(a.body), maxBodyKept)
	require.True(t, utf8.ValidString(a.body))
	require.NotContains(t, a.body, "\uFFFD", "the cut splits no character")
}

func TestCompressedAnswersStayCompressed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte("\x1f\x8b\x00\x00bomb"))
	}))
	t.Cleanup(server.Close)
	a := post(t, newClient(newGuard(true), time.Second, nil), server.URL)
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, "none is asked for")
	require.Contains(t, a.body, "bomb")
	require.NotContains(t, a.body, "\x00")
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		fmt.Fprint(w, "fine")
	}))
	t.Cleanup(server.Close)
	c := newClient(newGuard(true), time.Second, nil)
	for range 5 {
		require.NoError(t, post(t, c, server.URL).err)
	}
	c.close()
	server.Close()
	require.Len(t, addresses, 1)
}

func TestProxiesFromTheEnvironmentAreIgnored(t *testing.T) {
	proxy, hits := canary(t)
	server, reached := canary(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	require.NoError(t, post(t, newClient(newGuard(true), time.Second, nil), server.URL).err)
	require.Zero(t, hits.Load())
	require.EqualValues(t, 1, reached.Load())
}

func TestTLS(t *testing.T) {
	t.Parallel()
	start := func(most uint16) (*httptest.Server, *x509.CertPool) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: most}
		server.Config.ErrorLog = nil
		server.StartTLS()
		t.Cleanup(server.Close)
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		return server, pool
	}
	modern, pool := start(tls.VersionTLS13)
	require.NoError(t, post(t, newClient(newGuard(true), 5*time.Second, pool), modern.URL).err)
	require.Error(t, post(t, newClient(newGuard(true), 5*time.Second, nil), modern.URL).err, "an unknown authority")
	old, pool := start(tls.VersionTLS11)
	require.ErrorContains(t, post(t, newClient(newGuard(true), 5*time.Second, pool), old.URL).err, "protocol version")
}
