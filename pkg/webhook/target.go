package webhook

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// maxURL bounds an endpoint's URL, in characters.
const maxURL = 2048

// checkURL records what is wrong with an endpoint's URL. Names are not resolved
// here: the address is vetted at every dial, because it can change at any time.
func checkURL(v *errs.Validation, text string, allowInsecure bool) {
	if utf8.RuneCountInString(text) > maxURL {
		v.Add("url", "must have at most %d characters", maxURL)
		return
	}
	models.CheckText(v, "url", text)
	target, err := url.Parse(text)
	if err != nil || !target.IsAbs() || target.Hostname() == "" || target.Opaque != "" {
		v.Add("url", "must be an absolute URL with a host")
		return
	}
	switch {
	case target.Scheme != "https" && target.Scheme != "http":
		v.Add("url", "must be an https URL")
	case target.Scheme == "http" && !allowInsecure:
		v.Add("url", "must use https")
	}
	v.Check(target.User == nil, "url", "must not hold credentials")
	v.Check(target.Fragment == "" && !strings.HasSuffix(text, "#"), "url", "must not have a fragment")
	if port := target.Port(); port != "" {
		number, err := strconv.Atoi(port)
		v.Check(err == nil && number >= 1 && number <= 65535, "url", "must have a port from 1 to 65535")
	}
	if !allowInsecure {
		checkPublicHost(v, target.Hostname())
	}
}

// localSuffixes are the top-level names that no public resolver answers: RFC 6761,
// RFC 6762, RFC 8375, ICANN's .internal, and what resolvers of hosts add.
var localSuffixes = []string{".localhost", ".local", ".localdomain", ".internal", ".home.arpa"}

// checkPublicHost judges the host as the sender will see it: Unicode is mapped
// first, for full-width digits make an address too.
func checkPublicHost(v *errs.Validation, host string) {
	if address, err := netip.ParseAddr(host); err == nil {
		v.Check(PublicAddress(address), "url", "must have a public address")
		return
	}
	name, err := asciiHost(host)
	if err != nil {
		v.Add("url", "must have a valid host name")
		return
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	local := slices.ContainsFunc(localSuffixes, func(suffix string) bool { return strings.HasSuffix("."+name, suffix) })
	v.Check(!local && strings.Contains(name, ".") && !endsInNumber(name), "url", "must have a public host name")
}

// asciiHost maps a host as net/http does before it dials.
func asciiHost(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf {
			return idna.Lookup.ToASCII(host)
		}
	}
	return host, nil
}

// endsInNumber reports whether the last label is a number, decimal, octal or hex:
// no such name exists, but C libraries read an IPv4 address in one of its other
// notations, as 127.1 or 0x7f.0.0.1 (WHATWG URL, "ends in a number").
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, isHex := strings.CutPrefix(last, "0x"); isHex {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
