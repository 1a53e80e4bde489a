package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/webhook"
)

// Every host is refused as a URL, whatever else the URL is.
func TestCreateRefusesHostsThatAreNotPublic(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	for family, hosts := range map[string][]string{
		"IPv4": {
			"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.170.2",
			"172.16.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1",
			"203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "100.100.100.200",
		},
		"IPv4 in another notation": {
			"2130706433", "0x7f000001", "0x7F.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001", "127.0.0.1.",
			"0x7f.1", "127.0.0.0x1", "0xa9.0xfe.0xa9.0xfe", "2852039166", "1.1.1.256", "example.0x",
		},
		"IPv4 in other digits": {"１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "１６９.２５４.１６９.２５４"},
		"IPv6": {
			"[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[fc00::1]",
			"[fd00:ec2::254]", "[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[4000::1]",
			"[2606:4700::1111%251]",
		},
		"IPv4 in IPv6": {
			"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
			"[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
		},
		"names": {
			"localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "vault.internal",
			"metadata.google.internal.", "host.localdomain", "router.home.arpa", "intranet", "ｌｏｃａｌｈｏｓｔ", "ⓛocal.ｌｏｃａｌ",
			"xn--a", "a..b\u0661",
		},
		"another host than it seems": {
			"example.com@127.0.0.1", "@127.0.0.1", "127.0.0.1#.example.com", "127.0.0.1?.example.com", "127.0.0.1/.example.com",
			"127.0.0.1\\.example.com", "%31%32%37.0.0.1", "127.0.0.1%00.example.com", "127.0.0.1\t", "127.0.0.1:80:443",
			"127.0.0.1:0x50", "[::1", "::1", "[127.0.0.1]", " 127.0.0.1",
		},
	} {
		for _, host := range hosts {
			for _, rest := range []string{"", "/", ":8443/hook"} {
				fields := validFields()
				fields.URL = "https://" + host + rest
				_, _, err := store.Create(db.Gorm, business, fields)
				require.True(t, errs.Is(err, errs.ValidationFailed), "%s: %q: %v", family, fields.URL, err)
				require.Equal(t, "url", errs.As(err).Fields[0].Field)
			}
		}
	}
	for _, url := range []string{
		"https://1.1.1.1/", "https://[2606:4700:4700::1111]:8443/", "https://[::ffff:8.8.8.8]/", "https://hooks.example.com./",
		"https://bücher.example/", "https://my_service.example.com/", "https://localhost.example.com/", "https://0x.example.com/",
		"https://127.0.0.1.example.com/", "https://abc.de/", "https://" + strings.Repeat("a", 60) + ".example.com/",
	} {
		fields := validFields()
		fields.URL = url
		_, _, err := store.Create(db.Gorm, business, fields)
		require.NoError(t, err, url)
	}
}

func TestCreateRefusesHeadersThatAreNotTheOwners(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	store := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	for _, name := range []string{
		"webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE", "Webhook-Anything", "Content-Type", "User-Agent", "Host",
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
		"Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Content-Length", "Content-Encoding", "Accept-Encoding", "Expect",
		"Idempotency-Key", "X-Idempotency-Key", "Traceparent", "Tracestate", "Date", ":authority", "", "a:b", "ä",
	} {
		fields := validFields()
		fields.Headers = map[string]string{name: "x"}
		_, _, err := store.Create(db.Gorm, business, fields)
		require.True(t, errs.Is(err, errs.ValidationFailed), "%q: %v", name, err)
		require.Equal(t, "headers."+name, errs.As(err).Fields[0].Field)
	}
	for name, headers := range map[string]map[string]string{
		"headers":      manyHeaders(21),
		"headers.x-a":  {"x-a": strings.Repeat("v", 1001)},
		"headers.x-b":  {"x-b": "a\nb"},
		"headers.x-c":  {"x-c": "a\x00"},
		"headers.X-D1": {"X-D1": "\u007f"},
	} {
		fields := validFields()
		fields.Headers = headers
		_, _, err := store.Create(db.Gorm, business, fields)
		require.True(t, errs.Is(err, errs.ValidationFailed), "%s: %v", name, err)
		require.Equal(t, name, errs.As(err).Fields[0].Field)
	}
	twice := validFields()
	twice.Headers = map[string]string{"X-Team": "a", "x-team": "b"}
	_, _, err := store.Create(db.Gorm, business, twice)
	require.True(t, errs.Is(err, errs.ValidationFailed))
	fine := validFields()
	fine.Headers = map[string]string{"Authorization": "Bearer x", "X-Team": "payments", "Cookie": "a=b", "Webhookish": "y"}
	_, _, err = store.Create(db.Gorm, business, fine)
	require.NoError(t, err)
}

func manyHeaders(n int) map[string]string {
	headers := make(map[string]string, n)
	for i := range n {
		headers["X-"+strings.Repeat("n", i+1)] = "v"
	}
	return headers
}
