package middleware

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

const forwardedHeader = "X-Forwarded-For"

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks (CIDR).
func ParseProxies(texts []string) (Proxies, error) {
	proxies := make(Proxies, 0, len(texts))
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, addressErr := netip.ParseAddr(text)
			if addressErr != nil {
				return nil, fmt.Errorf("api.trusted_proxies: %q is neither an address nor a network", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if prefix.Addr().Is4In6() {
			if prefix.Bits() < 96 {
				return nil, fmt.Errorf("api.trusted_proxies: write %q as an IPv4 network", text)
			}
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

func (p Proxies) trust(address netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// clientAddress returns the address of the caller. Only when the peer itself is
// a trusted proxy does X-Forwarded-For count, all its lines as one list, read
// from the right: every proxy appends the peer it saw, so that the first entry
// from the right that is no trusted proxy is the nearest one that a trusted
// proxy vouches for. What stands left of it is the caller's word. An entry that
// is no address ends the walk at the peer, and when all are trusted proxies, the
// leftmost began it.
//
// Gin's own ClientIP reads the first header line alone, which is the caller's
// where a proxy adds a line of its own.
func (p Proxies) clientAddress(r *http.Request) netip.Addr {
	peer := parseAddress(r.RemoteAddr)
	if len(p) == 0 || !p.trust(peer) {
		return peer
	}
	client := peer
	lines := r.Header[forwardedHeader]
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			var entry string
			rest, entry, more = cutLast(rest)
			if entry = strings.TrimSpace(entry); entry == "" {
				continue // "a, , b" and an empty line say nothing (RFC 9110 §5.6.1)
			}
			address := parseAddress(entry)
			if !address.IsValid() {
				return peer
			}
			client = address
			if !p.trust(address) {
				return client
			}
		}
	}
	return client
}

// cutLast splits a list at its last comma.
func cutLast(list string) (rest, last string, more bool) {
	at := strings.LastIndexByte(list, ',')
	if at < 0 {
		return "", list, false
	}
	return list[:at], list[at+1:], true
}

// parseAddress reads an address with or without a port and brackets; IPv4 in
// IPv6 notation is IPv4, and a zone is dropped. The zero Addr means that it is
// none.
func parseAddress(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	if text[0] == '[' && text[len(text)-1] == ']' {
		text = text[1 : len(text)-1]
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		withPort, portErr := netip.ParseAddrPort(text)
		if portErr != nil {
			return netip.Addr{}
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// Widths of the networks that share a rate limit.
const (
	ipv6Network = 64 // what one subscriber gets (RFC 6177)
)

// limitKey is what a client's requests are counted under: an IPv4 address, an
// IPv6 network.
func limitKey(client netip.Addr) string {
	if client.Is6() {
		network, err := client.Prefix(ipv6Network)
		if err == nil {
			return network.Addr().String()
		}
	}
	return client.String() // "invalid IP" for all whose address is unknown
}
