package dispatch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

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
		"slow chunks": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			trickle(c, "1\r\nx\r\n")
		}, true},
		"huge chunk": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n")
		}, false},
		"chunk headers": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			trickle(c, "1;"+strings.Repeat("x", 3000)+"\r\nx\r\n")
		}, false},
		"two lengths": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(newGuard(true, nil), timeout, nil)
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
	a := post(t, newClient(newGuard(true, nil), 5*time.Second, nil), server.URL)
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
	a := post(t, newClient(newGuard(true, nil), time.Second, nil), server.URL)
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
	c := newClient(newGuard(true, nil), time.Second, nil)
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
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	g := newGuard(true, nil) // localhost would be no case for a proxy
	g.resolve = func(context.Context, string) ([]netip.Addr, error) { return addresses("127.0.0.1"), nil }
	require.NoError(t, post(t, newClient(g, time.Second, nil), "http://example.com:"+port).err)
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
	require.NoError(t, post(t, newClient(newGuard(true, nil), 5*time.Second, pool), modern.URL).err)
	require.Error(t, post(t, newClient(newGuard(true, nil), 5*time.Second, nil), modern.URL).err, "an unknown authority")
	old, pool := start(tls.VersionTLS11)
	require.ErrorContains(t, post(t, newClient(newGuard(true, nil), 5*time.Second, pool), old.URL).err, "protocol version")
}

// What goes into the log of attempts is text that the database takes, whatever
// the other side says and wherever it is cut.
func TestAnErrorIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, said := range []string{strings.Repeat("ä", 1000), "x" + strings.Repeat("ä", 1000), strings.Repeat("€", 1000), strings.Repeat("\xff\x00", 1000), strings.Repeat("😀", 999)} {
		a := post(t, newClient(newGuard(true, nil), 5*time.Second, nil), raw(t, func(c net.Conn) { _, _ = io.WriteString(c, said+"\r\n\r\n") }))
		require.Error(t, a.err)
		require.True(t, utf8.ValidString(a.reason()), "%q", a.reason())
		require.NotContains(t, a.reason(), "\x00")
		require.LessOrEqual(t, len(a.reason()), maxErrorKept)
		require.Greater(t, len(a.reason()), maxErrorKept-utf8.UTFMax)
		a.timedOut = true
		require.True(t, utf8.ValidString(a.reason()), "%q", a.reason())
	}
}

// Nobody asked to switch protocols. The body of such an answer is the connection
// itself, which the request's deadline does not end.
func TestSwitchingProtocolsHoldsNothing(t *testing.T) {
	t.Parallel()
	closed := make(chan error, 1)
	target := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nx")
		_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
		_, err := c.Read(make([]byte, 1))
		closed <- err
	})
	a := post(t, newClient(newGuard(true, nil), 5*time.Second, nil), target)
	require.NoError(t, a.err)
	require.Equal(t, http.StatusSwitchingProtocols, a.status)
	require.Equal(t, outcomeOther, outcomeOf(&a))
	require.Less(t, a.latency, 5*time.Second)
	require.ErrorIs(t, <-closed, io.EOF)
}
