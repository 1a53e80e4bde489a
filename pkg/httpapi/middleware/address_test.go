package middleware

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := []string{"10.0.0.0/8", "192.0.2.1", "2001:db8:aaaa::/48"}
	for name, test := range map[string]struct {
		proxies []string
		peer    string
		lines   []string
		want    string
	}{
		"no proxies":                    {nil, "203.0.113.9:1", []string{"1.1.1.1"}, "203.0.113.9"},
		"peer is no proxy":              {trusted, "203.0.113.9:1", []string{"1.1.1.1"}, "203.0.113.9"},
		"no header":                     {trusted, "10.1.1.1:1", nil, "10.1.1.1"},
		"empty header":                  {trusted, "10.1.1.1:1", []string{""}, "10.1.1.1"},
		"one":                           {trusted, "10.1.1.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"a single trusted address":      {trusted, "192.0.2.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"its neighbour":                 {trusted, "192.0.2.2:1", []string{"203.0.113.9"}, "192.0.2.2"},
		"spoofed left part":             {trusted, "10.1.1.1:1", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		"spoofed own line":              {trusted, "10.1.1.1:1", []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		"spoofed trusted address":       {trusted, "10.1.1.1:1", []string{"10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
		"chain of proxies":              {trusted, "10.1.1.1:1", []string{"1.1.1.1,203.0.113.9,10.2.2.2", "10.3.3.3"}, "203.0.113.9"},
		"all are proxies":               {trusted, "10.1.1.1:1", []string{"10.2.2.2, 10.3.3.3"}, "10.2.2.2"},
		"white space":                   {trusted, "10.1.1.1:1", []string{"  1.1.1.1 ,\t203.0.113.9\t "}, "203.0.113.9"},
		"empty entries":                 {trusted, "10.1.1.1:1", []string{"203.0.113.9,, ,", ""}, "203.0.113.9"},
		"garbage":                       {trusted, "10.1.1.1:1", []string{"203.0.113.9, unknown"}, "10.1.1.1"},
		"garbage left of the client":    {trusted, "10.1.1.1:1", []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		"garbage behind a proxy":        {trusted, "10.1.1.1:1", []string{"203.0.113.9, _hidden, 10.2.2.2"}, "10.1.1.1"},
		"port":                          {trusted, "10.1.1.1:1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6":                          {trusted, "[2001:db8:aaaa::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
		"IPv6 with brackets":            {trusted, "10.1.1.1:1", []string{"[2001:db8::9]"}, "2001:db8::9"},
		"IPv6 with port":                {trusted, "10.1.1.1:1", []string{"[2001:db8::9]:4711"}, "2001:db8::9"},
		"IPv6 with zone":                {trusted, "10.1.1.1:1", []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv4 in IPv6":                  {trusted, "10.1.1.1:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"peer is IPv4 in IPv6":          {trusted, "[::ffff:10.1.1.1]:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"proxies written as IPv6":       {[]string{"::ffff:10.0.0.0/104"}, "10.1.1.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"very long list":                {trusted, "10.1.1.1:1", []string{strings.Repeat("1.1.1.1,", 4000) + "203.0.113.9"}, "203.0.113.9"},
		"very long list of proxies":     {trusted, "10.1.1.1:1", []string{"203.0.113.9," + strings.Repeat("10.2.2.2,", 3000)}, "203.0.113.9"},
		"very long entry":               {trusted, "10.1.1.1:1", []string{strings.Repeat("1", 30000)}, "10.1.1.1"},
		"peer unknown":                  {trusted, "@", []string{"203.0.113.9"}, "invalid IP"},
		"brackets alone":                {trusted, "10.1.1.1:1", []string{"[]"}, "10.1.1.1"},
		"everybody is trusted, 2 lines": {[]string{"0.0.0.0/0"}, "10.1.1.1:1", []string{"1.1.1.1", "2.2.2.2"}, "1.1.1.1"},
	} {
		proxies, err := ParseProxies(test.proxies)
		require.NoError(t, err)
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{}}
		if test.lines != nil {
			r.Header["X-Forwarded-For"] = test.lines
		}
		require.Equal(t, test.want, proxies.clientAddress(r).String(), name)
	}
}

func TestParseProxiesRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy", "10.0.0.0/33", "10.0.0.1:80", "::ffff:0:0/90"} {
		_, err := ParseProxies([]string{text})
		require.ErrorContains(t, err, "api.trusted_proxies", text)
	}
}

func TestLimitKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, "203.0.113.9", limitKey(netip.MustParseAddr("203.0.113.9")))
	require.Equal(t, limitKey(netip.MustParseAddr("2001:db8:1:2::1")), limitKey(netip.MustParseAddr("2001:db8:1:2:ffff::1")))
	require.NotEqual(t, limitKey(netip.MustParseAddr("2001:db8:1:2::1")), limitKey(netip.MustParseAddr("2001:db8:1:3::1")))
	require.NotEmpty(t, limitKey(netip.Addr{}))
}

// Whom a request counts for is never up to what its caller writes.
func FuzzClientAddress(f *testing.F) {
	for _, peer := range []string{"10.1.1.1:1", "203.0.113.9:1", "[::ffff:10.1.1.1]:1", "@", ""} {
		for _, spoofed := range []string{"1.1.1.1, [::1]:5", "10.9.9.9", "unknown", ",, ,", "fe80::1%eth0", "::ffff:10.0.0.1", "1.1.1.1:99999", "\x00"} {
			f.Add(peer, spoofed, "203.0.113.9")
		}
	}
	proxies, err := ParseProxies([]string{"10.0.0.0/8"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, peer, spoofed, seen string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {spoofed, "203.0.113.9"}}}
		got := proxies.clientAddress(r)
		if proxies.trust(parseAddress(peer)) {
			require.Equal(t, "203.0.113.9", got.String(), "what the proxy saw counts, whatever the caller sent")
		} else {
			require.Equal(t, parseAddress(peer), got, "nobody else is believed")
		}
		require.NotEmpty(t, limitKey(got))
		// Behind two proxies: what the outer one saw is followed by the outer one.
		r.Header["X-Forwarded-For"] = []string{spoofed, seen + ", 10.2.2.2"}
		outer := parseAddress(strings.TrimSpace(seen))
		if proxies.trust(parseAddress(peer)) && outer.IsValid() && !proxies.trust(outer) && !strings.Contains(seen, ",") {
			require.Equal(t, outer, proxies.clientAddress(r))
		}
	})
}
