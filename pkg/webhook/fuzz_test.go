package webhook

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// The reference library verifies whatever is signed, and nothing that was changed.
func FuzzSignature(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1"}`), []byte("0123456789abcdef0123456789abcdef"))
	f.Add([]byte{}, []byte{0})
	f.Add([]byte("\xff\x00."), []byte("a.b"))
	f.Fuzz(func(t *testing.T, body, secret []byte) {
		if len(secret) == 0 {
			return // the library takes no empty secret
		}
		id, now := models.NewID[models.EventPrefix](), time.Now()
		header := http.Header{}
		header.Set(HeaderID, id.String())
		header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
		header.Set(HeaderSignature, NewSigner(Secret{Bytes: secret}).Sign(id, now, body))
		verifier, err := standardwebhooks.NewWebhook(FormatSecret(secret))
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(body, header))
		require.Error(t, verifier.Verify(append(body[:len(body):len(body)], '.'), header))
		header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix()+1, 10))
		require.Error(t, verifier.Verify(body, header))
	})
}

// A URL that may be registered is https, without credentials, and names no address
// that is not public, in whatever notation.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/hook", "https://example.com:443/a?b=c", "http://example.com", "https://user:pass@example.com", "https://127.0.0.1",
		"https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://2130706433/", "https://0x7f.1/", "https://127.0.0.1./", "https://１２７.0.0.1/",
		"https://example.com#", "https:example.com", "https://a.local", "https://[fe80::1%25eth0]/", "https://example.com:0", "https://exa mple.com",
		"https://localhost.", "https://169.254.169.254/latest", "https://[64:ff9b::7f00:1]/", "//example.com", "https://\x00.com", "https://..",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v errs.Validation
		checkURL(&v, text, false)
		if v.Err() != nil {
			return
		}
		target, err := url.Parse(text)
		require.NoError(t, err)
		require.Equal(t, "https", target.Scheme)
		require.Nil(t, target.User)
		require.Empty(t, target.Fragment)
		require.NotEmpty(t, target.Hostname())
		if address, err := netip.ParseAddr(target.Hostname()); err == nil {
			requirePublic(t, address)
		}
	})
}

// requirePublic says by other rules than PublicAddress what it must not let through.
func requirePublic(t *testing.T, address netip.Addr) {
	t.Helper()
	address = address.Unmap()
	require.Empty(t, address.Zone())
	require.True(t, address.IsGlobalUnicast(), address)
	require.False(t, address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsMulticast(), address)
}

// No sixteen bytes that mean an inner address are public.
func FuzzPublicAddress(f *testing.F) {
	for _, seed := range []string{"8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2606:4700::1111", "::", "100.64.0.1", "fe80::1"} {
		f.Add(netip.MustParseAddr(seed).AsSlice())
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		address, ok := netip.AddrFromSlice(bytes)
		if !ok || !PublicAddress(address) {
			return
		}
		requirePublic(t, address)
		if address.Is6() && !address.Is4In6() {
			wide := address.As16()
			require.Equal(t, byte(0x20), wide[0]&0xe0, "outside of what is assigned: %s", address)
			if wide[0] == 0x20 && wide[1] == 0x02 {
				require.Fail(t, "6to4 carries an IPv4 address", address.String())
			}
		}
	})
}
