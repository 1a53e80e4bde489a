package dispatch

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canary is a local server that must never be reached.
func canary(t *testing.T) (server *httptest.Server, hits *atomic.Int64) {
	t.Helper()
	hits = &atomic.Int64{}
	server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	return server, hits
}

func post(t *testing.T, c *client, target string) answer {
	t.Helper()
	parsed, err := url.Parse(target)
	require.NoError(t, err)
	request := &http.Request{Method: http.MethodPost, URL: parsed, Host: parsed.Host, Header: http.Header{}}
	return c.send(t.Context(), request, []byte("{}"))
}

func TestForbiddenAddressesAreNeverDialled(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	c := newClient(newGuard(false), time.Second, nil)
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
		"169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "224.0.0.1", "255.255.255.255", "[ff02::1]",
		// Notations that only some parsers understand are names here, and no such name exists.
		"2130706433", "0x7f000001", "0177.0.0.1", "127.1",
	} {
		a := post(t, c, "http://"+host+":"+port+"/")
		require.Zero(t, a.status, host)
		require.Error(t, a.err, host)
	}
	require.Zero(t, hits.Load())
}

func TestANameWithOneForbiddenAddressIsRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(false)
	g.resolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("10.0.0.1")}, nil
	}
	_, err := g.dial(t.Context(), "tcp", "example.com:443")
	require.ErrorIs(t, err, errForbiddenAddress)
}

// A name that is public when it is vetted and private afterwards is resolved
// once per dial, and the vetted address is dialled; the socket's own check would
// stop anything else.
func TestRebindingANameReachesNothing(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	var lookups atomic.Int64
	g := newGuard(false)
	g.resolve = func(context.Context, string) ([]netip.Addr, error) {
		if lookups.Add(1)%2 == 1 {
			return []netip.Addr{netip.MustParseAddr("192.0.0.8")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	c := newClient(g, time.Second, nil)
	for range 4 {
		a := post(t, c, "http://rebind.example:"+port+"/")
		require.ErrorIs(t, a.err, errForbiddenAddress)
	}
	require.EqualValues(t, 4, lookups.Load(), "one look-up per dial")
	require.Zero(t, hits.Load())
	require.ErrorIs(t, g.control("tcp4", "127.0.0.1:80", nil), errForbiddenAddress)
	require.ErrorIs(t, g.control("tcp6", "[::ffff:10.0.0.1]:80", nil), errForbiddenAddress)
	require.NoError(t, g.control("tcp4", "1.1.1.1:443", nil))
}

func TestInsecureReachesLocalEndpoints(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	a := post(t, newClient(newGuard(true), time.Second, nil), server.URL)
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status)
	require.EqualValues(t, 1, hits.Load())
}
