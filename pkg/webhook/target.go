package webhook

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

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

func checkPublicHost(v *errs.Validation, host string) {
	if address, err := netip.ParseAddr(host); err == nil {
		v.Check(PublicAddress(address), "url", "must have a public address")
		return
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	local := name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".internal")
	v.Check(!local && strings.Contains(name, "."), "url", "must have a public host name")
}
