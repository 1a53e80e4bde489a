package dispatch

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// inetAton is what inet_aton(3) takes for an IPv4 address.
var inetAton = regexp.MustCompile(`^(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]+)){0,3}\.?$`)

// Whatever a host is called and whatever it resolves to, nothing is dialled that is
// not public, and one forbidden address among several is enough.
func FuzzGuard(f *testing.F) {
	f.Add("example.com", []byte{8, 8, 8, 8}, []byte{10, 0, 0, 1})
	f.Add("127.1", []byte{1, 1, 1, 1}, []byte{1, 1, 1, 1})
	f.Add("0x7f000001", []byte{}, []byte{})
	f.Add("::ffff:10.0.0.1", []byte{}, []byte{})
	f.Add("fe80::1%eth0", []byte{}, []byte{})
	f.Add("2130706433.", []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, host string, first, second []byte) {
		var resolved []netip.Addr
		for _, bytes := range [][]byte{first, second} {
			if address, ok := netip.AddrFromSlice(bytes); ok {
				resolved = append(resolved, address)
			}
		}
		g := newGuard(false, nil)
		g.resolve = func(context.Context, string) ([]netip.Addr, error) {
			if len(resolved) == 0 {
				return nil, errors.New("no such host")
			}
			return append([]netip.Addr(nil), resolved...), nil
		}
		addresses, err := g.vet(t.Context(), host)
		if err != nil {
			return
		}
		require.NotEmpty(t, addresses)
		if _, err := netip.ParseAddr(host); err != nil {
			require.NotRegexp(t, inetAton, host, "some resolvers read an address out of it")
		}
		for _, address := range addresses {
			require.False(t, address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsMulticast() ||
				address.IsUnspecified() || address.Is4In6() || address.Zone() != "", "%s for %q", address, host)
			require.NoError(t, g.control("tcp", netip.AddrPortFrom(address, 443).String(), nil), "the socket's own check agrees")
		}
	})
}
