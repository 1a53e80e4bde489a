package dispatch

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connectProxy is an HTTP proxy that remembers what it was asked for and takes
// everybody to one place.
type connectProxy struct {
	*httptest.Server
	mu   sync.Mutex
	asks []*http.Request
}

func newConnectProxy(t *testing.T, target string, start func(*httptest.Server)) *connectProxy {
	t.Helper()
	p := &connectProxy{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asks = append(p.asks, r)
		p.mu.Unlock()
		onward, err := net.Dial("tcp", target)
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		// Answered after it is taken over: the server reads ahead, and what the client
		// sends on the answer would begin there.
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(onward, conn); _ = onward.Close() }()
		go func() { _, _ = io.Copy(conn, onward); _ = conn.Close() }()
	}))
	start(p.Server)
	t.Cleanup(p.Close)
	return p
}

func (p *connectProxy) asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*http.Request(nil), p.asks...)
}

func through(t *testing.T, address string) *proxy {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	p, err := newProxy(parsed)
	require.NoError(t, err)
	return p
}

// The proxy gets the vetted address and its credentials, the endpoint the request
// and the TLS of its own name, and neither what is the other's.
func TestDeliversThroughAProxy(t *testing.T) {
	t.Parallel()
	var header http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		assert.Equal(t, "example.com:8443", r.Host)
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // it is for example.com
	for scheme, start := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS} {
		proxying := newConnectProxy(t, server.Listener.Addr().String(), start)
		p := through(t, scheme+"://user:hunter2@"+proxying.Listener.Addr().String())
		if p.tls != nil {
			pool := x509.NewCertPool()
			pool.AddCert(proxying.Certificate())
			p.tls.RootCAs = pool
		}
		g := newGuard(false, p)
		g.resolve = func(context.Context, string) ([]netip.Addr, error) { return addresses("1.1.1.1"), nil }
		c := newClient(g, 10*time.Second, roots)
		for range 2 {
			a := post(t, c, "https://example.com:8443/hook")
			require.NoError(t, a.err)
			require.Equal(t, http.StatusOK, a.status)
		}
		require.Len(t, proxying.asked(), 1, "the tunnel is kept alive")
		ask := proxying.asked()[0]
		require.Equal(t, "1.1.1.1:8443", ask.Host, "an address, not a name")
		require.Equal(t, "Basic dXNlcjpodW50ZXIy", ask.Header.Get("Proxy-Authorization"))
		require.Empty(t, header.Get("Proxy-Authorization"))
		c.close()
		server.CloseClientConnections()
	}
}

func TestAProxyIsNotAskedForForbiddenAddresses(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	proxying := newConnectProxy(t, server.Listener.Addr().String(), (*httptest.Server).Start)
	g := newGuard(false, through(t, proxying.URL))
	g.resolve = func(context.Context, string) ([]netip.Addr, error) { return addresses("1.1.1.1", "10.0.0.1"), nil }
	c := newClient(g, 5*time.Second, nil)
	for _, host := range []string{"127.0.0.1", "[::1]", "[64:ff9b::7f00:1]", "2130706433", "mixed.example"} {
		require.ErrorIs(t, post(t, c, "http://"+host+"/").err, errForbiddenAddress, host)
	}
	require.Empty(t, proxying.asked())
	require.Zero(t, hits.Load())
}

func TestAProxyThatFailsIsATransportError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"refuses":     {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 407 No\r\nX: hunter2\r\n\r\nhunter2") }, "the proxy answered 407"},
		"closes":      {func(net.Conn) {}, "does not speak HTTP"},
		"no HTTP":     {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-hunter2\r\n") }, "does not speak HTTP"},
		"huge header": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)) }, "does not speak HTTP"},
		"speaks first": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}, "does not speak HTTP"},
		"silence": {func(net.Conn) { time.Sleep(2 * time.Second) }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, err := url.Parse(raw(t, test.serve))
			require.NoError(t, err)
			g := newGuard(false, through(t, "http://user:hunter2@"+address.Host))
			g.resolve = func(context.Context, string) ([]netip.Addr, error) { return addresses("1.1.1.1"), nil }
			a := post(t, newClient(g, 300*time.Millisecond, nil), "http://example.com/")
			require.ErrorContains(t, a.err, test.want)
			require.NotContains(t, a.reason(), "hunter2")
			require.Contains(t, []string{outcomeTransport, outcomeTimeout}, outcomeOf(&a))
		})
	}
	g := newGuard(false, through(t, "http://127.0.0.1:1"))
	g.resolve = func(context.Context, string) ([]netip.Addr, error) { return addresses("1.1.1.1"), nil }
	require.ErrorContains(t, post(t, newClient(g, time.Second, nil), "http://example.com/").err, "reaching the proxy")
}

func TestTheProxyIsVerified(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	proxying := newConnectProxy(t, server.Listener.Addr().String(), (*httptest.Server).StartTLS)
	g := newGuard(true, through(t, proxying.URL))
	var unknown *tls.CertificateVerificationError
	require.ErrorAs(t, post(t, newClient(g, 5*time.Second, nil), server.URL).err, &unknown)
	require.Empty(t, proxying.asked(), "it learned nothing")
	require.Zero(t, hits.Load())
}

func TestProxyURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://proxy": "proxy:80", "https://proxy": "proxy:443", "http://proxy:3128": "proxy:3128", "http://[::1]:3128": "[::1]:3128",
	} {
		require.Equal(t, want, through(t, text).address)
	}
	for _, text := range []string{"socks5://proxy", "proxy:3128", "http://:3128"} {
		parsed, err := url.Parse(text)
		require.NoError(t, err)
		_, err = newProxy(parsed)
		require.ErrorContains(t, err, "the proxy must have", text)
	}
}

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
