package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/logging"
	"github.com/txn-service/txn/pkg/ratelimit"
)

// loadConfig reads the settings as the services do: a file with an unknown key, a
// value of the wrong type or a variable that cannot be parsed keeps them from
// starting.
func loadConfig(_ context.Context, p *patient) (verdict, error) {
	settings, err := config.Load(p.ConfigFile)
	if err != nil {
		return fail(err.Error(), "correct the file or the variable that is named; configs/ documents every setting"), nil
	}
	p.settings = settings
	if p.ConfigFile == "" {
		return ok("defaults and TXN_* variables; no --config"), nil
	}
	return ok("%s, with TXN_* variables over it", p.ConfigFile), nil
}

// Variables that begin with TXN_ and are no settings: a key for the API, the
// servers of tests, and what Kubernetes and Docker set for a service named txn.
var otherVariables = regexp.MustCompile(`^TXN_(API_KEY|TEST_.*|(.*_)?SERVICE_(HOST|PORT)(_.*)?|(.*_)?PORT(_\d+_.*)?)$`)

// checkEnvironment finds TXN_* variables that set nothing, most likely because
// they are misspelt: only in a file are unknown keys an error.
func checkEnvironment(_ context.Context, p *patient) (verdict, error) {
	known := variables(reflect.TypeFor[config.Config](), "TXN")
	var unknown []string
	set := int64(0)
	for _, pair := range p.Environment {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case !strings.HasPrefix(name, "TXN_") || otherVariables.MatchString(name):
		case slices.Contains(known, name):
			set++
		default:
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return warn("no setting has the name of "+list(unknown), "correct the name or unset it: the key a.b_c is TXN_A_B_C"), nil
	}
	return ok("%s set", count(set, "variable", "variables")), nil
}

// variables lists the names of all variables, as package config derives them.
func variables(t reflect.Type, prefix string) []string {
	var names []string
	for field := range t.Fields() {
		name := prefix + "_" + strings.ToUpper(field.Tag.Get("mapstructure"))
		if field.Type.Kind() == reflect.Struct {
			names = append(names, variables(field.Type, name)...)
			continue
		}
		names = append(names, name)
	}
	return names
}

// checkValues finds settings that no service would start with.
func checkValues(_ context.Context, p *patient) (verdict, error) {
	_, err := logging.New(io.Discard, p.settings.Log.Level, p.settings.Log.Format)
	if err := errors.Join(p.settings.Validate(), err); err != nil {
		problems := strings.ReplaceAll(err.Error(), "\n", "; ")
		return fail(problems, "correct these settings: api and dispatcher refuse to start with them"), nil
	}
	return ok("every value is acceptable"), nil
}

// checkEncryptionKeys finds a configuration without keys for signing secrets.
func checkEncryptionKeys(_ context.Context, p *patient) (verdict, error) {
	keys, err := p.settings.Security.Keys()
	switch {
	case err != nil:
		return fail(err.Error(), "each key is base64 of 32 random bytes: openssl rand -base64 32"), nil
	case len(keys) == 0:
		return fail("no encryption key: neither api nor dispatcher starts",
			"set TXN_SECURITY_ENCRYPTION_KEYS to what they run with, or to a new key: openssl rand -base64 32"), nil
	default:
		return ok("%s; the first encrypts", count(int64(len(keys)), "key", "keys")), nil
	}
}

// checkRateLimit finds an API that anybody may call as often as they like.
func checkRateLimit(_ context.Context, p *patient) (verdict, error) {
	limits := p.settings.RateLimit
	if err := parseLimits(limits); err != nil {
		return fail(err.Error(), "correct it: the API does not start"), nil
	}
	switch {
	case limits.PerIP != "" && limits.PerIP != "0":
		return ok("%s per client address", limits.PerIP), nil
	case limits.PerKey != "" && limits.PerKey != "0":
		return warn("off per client address, "+limits.PerKey+" per API key: guessing keys is not limited",
			"set rate_limit.per_ip (TXN_RATE_LIMIT_PER_IP), unless something in front of the API does it"), nil
	default:
		return warn("off", "set rate_limit.per_ip (TXN_RATE_LIMIT_PER_IP), unless something in front of the API does it"), nil
	}
}

func parseLimits(limits config.RateLimit) error {
	if _, err := ratelimit.New("ip", limits.PerIP, nil); err != nil {
		return fmt.Errorf("rate_limit.per_ip: %w", err)
	}
	if _, err := ratelimit.New("key", limits.PerKey, nil); err != nil {
		return fmt.Errorf("rate_limit.per_key: %w", err)
	}
	return nil
}

// checkAllowInsecure finds a setting that is for development.
func checkAllowInsecure(_ context.Context, p *patient) (verdict, error) {
	if p.settings.Webhooks.AllowInsecure {
		return warn("webhooks may go to http and to private addresses: tenants can make the dispatcher call your own network",
			"unset webhooks.allow_insecure (TXN_WEBHOOKS_ALLOW_INSECURE) outside development"), nil
	}
	return ok("webhooks go to https and public addresses only"), nil
}

// checkTransport finds connections that leave this machine in clear.
func checkTransport(_ context.Context, p *patient) (verdict, error) {
	var open []string
	for _, c := range []struct{ key, url string }{
		{"database.url", p.settings.Database.URL}, {"database.listen_url", p.settings.Database.ListenURL},
		{"redis.url", p.settings.Redis.URL},
	} {
		if inClear(c.url) {
			open = append(open, c.key)
		}
	}
	if len(open) > 0 {
		return warn("in clear to another machine: "+list(open), "use sslmode=verify-full for PostgreSQL and rediss:// for Redis, unless the network is trusted"), nil
	}
	return ok("nothing that is configured asks for a connection in clear to another machine"), nil
}

// inClear reports whether a URL asks for a connection without TLS to a host that
// is not this one. Of PostgreSQL's modes, prefer and allow may go without, too.
func inClear(text string) bool {
	address, err := url.Parse(text)
	if err != nil || address.Hostname() == "" || isLoopback(address.Hostname()) {
		return false
	}
	switch address.Scheme {
	case "redis":
		return true
	case "postgres", "postgresql":
		return !slices.Contains([]string{"require", "verify-ca", "verify-full"}, address.Query().Get("sslmode"))
	default:
		return false
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// checkTrustedProxies finds networks whose every host may say who a client is.
func checkTrustedProxies(_ context.Context, p *patient) (verdict, error) {
	proxies := p.settings.API.TrustedProxies
	for _, text := range proxies {
		network, err := netip.ParsePrefix(text)
		if err != nil && !isAddress(text) {
			return fail(fmt.Sprintf("%q is neither an address nor a network", text), "correct api.trusted_proxies: the API does not start"), nil
		}
		if err == nil && network.Bits() == 0 {
			return warn(fmt.Sprintf("%s trusts everybody's X-Forwarded-For: a client chooses the address that it is limited by", text),
				"list the addresses of your own proxies in api.trusted_proxies"), nil
		}
	}
	if len(proxies) == 0 {
		return ok("none: clients are known by the address that connects"), nil
	}
	return ok("%s", list(proxies)), nil
}
