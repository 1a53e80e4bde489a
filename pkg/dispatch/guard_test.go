package dispatch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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

// addresses parses a list.
func addresses(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}
	return list
}

var errUnreachable = errors.New("unreachable by construction")

// dialled makes a guard record what it would dial instead of dialling.
func dialled(g *guard) func() []string {
	var mu sync.Mutex
	var all []string
	g.connect = func(_ context.Context, address netip.AddrPort) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, address.String())
		return nil, errUnreachable
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), all...)
	}
}

// Every family and every trick ends before a socket is opened. What is no address
// and no name of loopback resolves to a public address here: notations that only
// some resolvers read as addresses must not depend on what they make of them.
func TestForbiddenHostsAreNeverDialled(t *testing.T) {
	t.Parallel()
	for family, hosts := range map[string][]string{
		"loopback":           {"127.0.0.1", "127.1.2.3", "127.255.255.254", "[::1]"},
		"unspecified":        {"0.0.0.0", "0.1.2.3", "[::]"},
		"private":            {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"},
		"unique local":       {"[fc00::1]", "[fd12:3456::1]"},
		"carrier-grade NAT":  {"100.64.0.1", "100.127.255.255"},
		"link-local":         {"169.254.1.1", "[fe80::1]", "[febf::1]"},
		"site-local":         {"[fec0::1]"},
		"metadata":           {"169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192"},
		"multicast":          {"224.0.0.1", "239.255.255.255", "[ff02::1]", "[ff0e::1]"},
		"broadcast":          {"255.255.255.255", "240.0.0.1"},
		"documentation":      {"192.0.2.1", "198.51.100.1", "203.0.113.1", "[2001:db8::1]", "[3fff::1]"},
		"benchmarking":       {"198.18.0.1", "198.19.255.255", "[2001:2::1]"},
		"IPv4-mapped":        {"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:10.0.0.1]"},
		"IPv4-compatible":    {"[::127.0.0.1]", "[::7f00:1]", "[::808:808]"},
		"IPv4-translated":    {"[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]"},
		"NAT64":              {"[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::808:808]", "[64:ff9b:1::7f00:1]"},
		"6to4":               {"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "192.88.99.1"},
		"Teredo":             {"[2001::1]", "[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]"},
		"ORCHID":             {"[2001:10::1]", "[2001:20::1]"},
		"segment routing":    {"[5f00::1]"},
		"discard":            {"[100::1]"},
		"never given out":    {"[4000::1]", "[1::1]"},
		"zone":               {"[fe80::1%25lo]", "[2606:4700::1111%25eth0]", "[::ffff:8.8.8.8%25lo]"},
		"decimal":            {"2130706433", "2852039166"},
		"hexadecimal":        {"0x7f000001", "0X7F000001", "0x7f.0.0.1", "127.0.0.0x1", "0x"},
		"octal":              {"017700000001", "0177.0.0.1", "127.0.0.01"},
		"short":              {"127.1", "127.0.1", "0"},
		"trailing dot":       {"127.0.0.1.", "169.254.169.254.", "2130706433.", "0x7f000001."},
		"fullwidth":          {"１２７.０.０.１", "127。0。0。1"},
		"names of loopback":  {"localhost", "localhost.", "loopback.example"},
		"too many octets":    {"127.0.0.1.1"},
		"leading zeros":      {"[0000:0000:0000:0000:0000:0000:0000:0001]"},
		"dotted-quad in IP6": {"[::ffff:169.254.169.254]"},
	} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			for _, host := range hosts {
				g := newGuard(false, nil)
				g.resolve = func(_ context.Context, name string) ([]netip.Addr, error) {
					if strings.HasPrefix(name, "lo") {
						return addresses("127.0.0.1"), nil
					}
					return addresses("8.8.8.8"), nil
				}
				opened := dialled(g)
				for _, scheme := range []string{"http", "https"} {
					a := post(t, newClient(g, time.Second, nil), scheme+"://"+host+":9/")
					require.Zero(t, a.status, host)
					require.ErrorIs(t, a.err, errForbiddenAddress, host)
					require.Equal(t, outcomeRefused, outcomeOf(&a), host)
				}
				require.Empty(t, opened(), host)
			}
		})
	}
}

func TestPublicHostsAreDialled(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"1.1.1.1": "1.1.1.1:9", "[2606:4700::1111]": "[2606:4700::1111]:9", "[::ffff:8.8.8.8]": "8.8.8.8:9",
		"example.com": "8.8.4.4:9", "example.com.": "8.8.4.4:9", "0xample.com": "8.8.4.4:9", "1.example": "8.8.4.4:9", "bücher.example": "8.8.4.4:9",
	} {
		g := newGuard(false, nil)
		g.resolve = func(context.Context, string) ([]netip.Addr, error) { return addresses("8.8.4.4"), nil }
		opened := dialled(g)
		a := post(t, newClient(g, time.Second, nil), "http://"+host+":9/")
		require.ErrorIs(t, a.err, errUnreachable, host)
		require.Equal(t, []string{want}, opened(), host)
	}
}

func TestANameWithOneForbiddenAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, answers := range [][]netip.Addr{
		addresses("1.1.1.1", "10.0.0.1"),
		addresses("10.0.0.1", "1.1.1.1"),
		addresses("1.1.1.1", "2606:4700::1111", "::ffff:169.254.169.254"),
		addresses("2606:4700::1111", "64:ff9b::7f00:1"),
		addresses("1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "127.0.0.1"), // beyond those that would be tried
		addresses("1.1.1.1", "fe80::1%eth0"),
	} {
		g := newGuard(false, nil)
		g.resolve = func(context.Context, string) ([]netip.Addr, error) { return answers, nil }
		opened := dialled(g)
		_, err := g.dial(t.Context(), "tcp", "example.com:443")
		require.ErrorIs(t, err, errForbiddenAddress)
		require.Empty(t, opened())
	}
}

// A DNS server whose answers change with every question: what is dialled is what
// was vetted, for there is one question per dial.
func TestRebindingANameReachesNothing(t *testing.T) {
	t.Parallel()
	server := newNameServer(t)
	server.answers("rebind.example.", "1.1.1.1", "127.0.0.1")
	server.answers("mixed.example.", "1.1.1.1,127.0.0.1")
	server.answers("nat64.example.", "64:ff9b::7f00:1")
	server.answers("inside.example.", "169.254.169.254")
	g := newGuard(false, nil)
	g.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		return server.resolver().LookupNetIP(ctx, "ip", host)
	}
	opened := dialled(g)
	c := newClient(g, 5*time.Second, nil)
	refused := 0
	for range 6 {
		a := post(t, c, "https://rebind.example:9/")
		require.Error(t, a.err)
		if errors.Is(a.err, errForbiddenAddress) {
			refused++
		} else {
			require.ErrorIs(t, a.err, errUnreachable)
		}
	}
	require.Equal(t, 3, refused, "every other answer")
	for _, host := range []string{"mixed.example", "nat64.example", "inside.example"} {
		a := post(t, c, "https://"+host+":9/")
		require.ErrorIs(t, a.err, errForbiddenAddress, host)
	}
	require.Equal(t, []string{"1.1.1.1:9", "1.1.1.1:9", "1.1.1.1:9"}, opened())
	require.Equal(t, 6, server.asked("rebind.example."), "one look-up per dial")
}

func TestTheSocketIsCheckedAgain(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	g := newGuard(false, nil)
	_, err := g.connect(t.Context(), netip.MustParseAddrPort(server.Listener.Addr().String()))
	require.ErrorIs(t, err, errForbiddenAddress, "whatever the vetting said")
	require.Zero(t, hits.Load())
	require.ErrorIs(t, g.control("tcp4", "127.0.0.1:80", nil), errForbiddenAddress)
	require.ErrorIs(t, g.control("tcp6", "[::ffff:10.0.0.1]:80", nil), errForbiddenAddress)
	require.ErrorIs(t, g.control("tcp6", "no address", nil), errForbiddenAddress)
	require.NoError(t, g.control("tcp4", "1.1.1.1:443", nil))
}

func TestAnAddressThatSwallowsPacketsLeavesTimeToTheNext(t *testing.T) {
	t.Parallel()
	g := newGuard(false, nil)
	g.resolve = func(context.Context, string) ([]netip.Addr, error) {
		return addresses("1.1.1.1", "1.0.0.1", "8.8.8.8"), nil
	}
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	g.connect = func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
		if address.Addr() == netip.MustParseAddr("8.8.8.8") {
			return near, ctx.Err()
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	conn, err := g.dial(ctx, "tcp", "example.com:443")
	require.NoError(t, err)
	require.Equal(t, near, conn)
}

func TestANameWithoutAddressOrResolverIsAnError(t *testing.T) {
	t.Parallel()
	g := newGuard(false, nil)
	g.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, nil }
	_, err := g.dial(t.Context(), "tcp", "example.com:443")
	require.ErrorContains(t, err, "has no address")
	g.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errUnreachable }
	_, err = g.dial(t.Context(), "tcp", "example.com:443")
	require.ErrorIs(t, err, errUnreachable)
}

func TestInsecureReachesLocalEndpoints(t *testing.T) {
	t.Parallel()
	server, hits := canary(t)
	a := post(t, newClient(newGuard(true, nil), time.Second, nil), server.URL)
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status)
	require.EqualValues(t, 1, hits.Load())
}

// A redirect is an answer like any other: nothing but the endpoint is dialled.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	inside, hits := canary(t)
	for _, location := range []string{inside.URL, "http://169.254.169.254/latest/meta-data/", "//127.0.0.1/", "/elsewhere"} {
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			}))
			g := newGuard(true, nil)
			connect := g.connect
			var dials atomic.Int64
			g.connect = func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
				dials.Add(1)
				assert.Equal(t, server.Listener.Addr().String(), address.String())
				return connect(ctx, address)
			}
			c := newClient(g, 5*time.Second, nil)
			a := post(t, c, server.URL)
			require.Equal(t, status, a.status)
			require.Equal(t, outcomeRedirect, outcomeOf(&a))
			require.EqualValues(t, 1, dials.Load())
			c.close()
			server.Close()
		}
	}
	require.Zero(t, hits.Load())
}
