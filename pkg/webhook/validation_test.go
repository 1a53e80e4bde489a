package webhook_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestCreateRefusesBadFields(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	strict := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1), MaxPerBusiness: 1000})
	for name, test := range map[string]struct {
		field  string
		change func(*webhook.Fields)
	}{
		"http":              {"url", func(f *webhook.Fields) { f.URL = "http://example.com/" }},
		"other scheme":      {"url", func(f *webhook.Fields) { f.URL = "ftp://example.com/" }},
		"relative":          {"url", func(f *webhook.Fields) { f.URL = "/hooks" }},
		"no host":           {"url", func(f *webhook.Fields) { f.URL = "https:///hooks" }},
		"opaque":            {"url", func(f *webhook.Fields) { f.URL = "https:example.com" }},
		"empty":             {"url", func(f *webhook.Fields) { f.URL = "" }},
		"credentials":       {"url", func(f *webhook.Fields) { f.URL = "https://user:pw@example.com/" }},
		"fragment":          {"url", func(f *webhook.Fields) { f.URL = "https://example.com/#x" }},
		"bad port":          {"url", func(f *webhook.Fields) { f.URL = "https://example.com:99999/" }},
		"too long":          {"url", func(f *webhook.Fields) { f.URL = "https://example.com/" + strings.Repeat("a", 2048) }},
		"newline":           {"url", func(f *webhook.Fields) { f.URL = "https://example.com/\n" }},
		"loopback":          {"url", func(f *webhook.Fields) { f.URL = "https://127.0.0.1/" }},
		"metadata":          {"url", func(f *webhook.Fields) { f.URL = "https://169.254.169.254/" }},
		"mapped loopback":   {"url", func(f *webhook.Fields) { f.URL = "https://[::ffff:127.0.0.1]/" }},
		"localhost":         {"url", func(f *webhook.Fields) { f.URL = "https://localhost/" }},
		"single label":      {"url", func(f *webhook.Fields) { f.URL = "https://intranet/" }},
		"no types":          {"event_types", func(f *webhook.Fields) { f.EventTypes = nil }},
		"unknown type":      {"event_types", func(f *webhook.Fields) { f.EventTypes = []string{"transaction.creatd"} }},
		"unknown prefix":    {"event_types", func(f *webhook.Fields) { f.EventTypes = []string{"refund.*"} }},
		"half a prefix":     {"event_types", func(f *webhook.Fields) { f.EventTypes = []string{"trans*"} }},
		"twice":             {"event_types", func(f *webhook.Fields) { f.EventTypes = []string{"*", "*"} }},
		"concurrency":       {"max_concurrency", func(f *webhook.Fields) { f.MaxConcurrency = 513 }},
		"rate":              {"rate_limit", func(f *webhook.Fields) { f.RateLimit = new(0) }},
		"our header":        {"headers.Webhook-Signature", func(f *webhook.Fields) { f.Headers = map[string]string{"Webhook-Signature": "x"} }},
		"framing header":    {"headers.Content-Length", func(f *webhook.Fields) { f.Headers = map[string]string{"Content-Length": "1"} }},
		"header name":       {"headers.a b", func(f *webhook.Fields) { f.Headers = map[string]string{"a b": "x"} }},
		"header injection":  {"headers.X-A", func(f *webhook.Fields) { f.Headers = map[string]string{"X-A": "a\r\nHost: b"} }},
		"description":       {"description", func(f *webhook.Fields) { f.Description = new(strings.Repeat("d", 1001)) }},
		"metadata key size": {"metadata", func(f *webhook.Fields) { f.Metadata = map[string]string{strings.Repeat("k", 41): ""} }},
	} {
		t.Run(name, func(t *testing.T) {
			fields := validFields()
			test.change(&fields)
			_, _, err := strict.Create(db.Gorm, business, fields)
			require.True(t, errs.Is(err, errs.ValidationFailed), "got %v", err)
			require.Equal(t, test.field, errs.As(err).Fields[0].Field)
		})
	}
	list, err := strict.List(db.Gorm, business, models.WebhookID{}, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestCreateAcceptsWhatIsFine(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	business := newBusiness(t, db)
	strict := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1)})
	lax := webhook.NewStore(webhook.Options{Keyring: newKeyring(t, 1), AllowInsecure: true})
	for _, url := range []string{"https://example.com", "https://example.com:8443/a?b=c", "https://1.1.1.1/", "https://bücher.example/"} {
		fields := webhook.Fields{URL: url, EventTypes: []string{"account.*", "transaction.created"}}
		_, _, err := strict.Create(db.Gorm, business, fields)
		require.NoError(t, err, url)
	}
	for _, url := range []string{"http://127.0.0.1:9/", "http://localhost/", "https://[::1]:80/"} {
		_, _, err := lax.Create(db.Gorm, business, webhook.Fields{URL: url, EventTypes: []string{"*"}})
		require.NoError(t, err, url)
	}
}

func TestPublicAddress(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1",
		"2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
		"fec0::1", "ff02::1", "4000::1", "2606:4700::1111%1",
	} {
		require.False(t, webhook.PublicAddress(netip.MustParseAddr(text)), text)
	}
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
		"192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888",
	} {
		require.True(t, webhook.PublicAddress(netip.MustParseAddr(text)), text)
	}
	require.False(t, webhook.PublicAddress(netip.Addr{}))
}
