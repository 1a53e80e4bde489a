package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/txn-service/txn/pkg/webhook"
)

// errForbiddenAddress is why a dial to an address that is not public fails.
var errForbiddenAddress = errors.New("the address is not public")

const (
	dialTimeout = 3 * time.Second
	keepAlive   = 30 * time.Second
	// maxAddresses bounds how many addresses of one name are tried.
	maxAddresses = 4
)

// guard dials only public addresses. A name is resolved once per dial and refused
// if any of its addresses is forbidden, and what is dialled is the vetted address
// itself, never the name again: rebinding the name in between changes nothing.
// The socket's own check stands behind that.
type guard struct {
	allowAll bool
	resolve  func(ctx context.Context, host string) ([]netip.Addr, error)
	// connect reaches a vetted address.
	connect func(ctx context.Context, address netip.AddrPort) (net.Conn, error)
}

// newGuard returns a guard that dials by itself, or asks the proxy for the vetted
// address if there is one.
func newGuard(allowAll bool, through *proxy) *guard {
	g := &guard{allowAll: allowAll, resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}}
	dialer := net.Dialer{KeepAlive: keepAlive, Control: g.control}
	g.connect = func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address.String())
	}
	if through != nil {
		g.connect = through.connect
	}
	return g
}

// dial is http.Transport.DialContext.
func (g *guard) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses, err := g.vet(ctx, host)
	if err != nil {
		return nil, err
	}
	addresses = addresses[:min(len(addresses), maxAddresses)]
	var failures []error
	for i, ip := range addresses {
		conn, err := g.try(ctx, netip.AddrPortFrom(ip, uint16(number)), len(addresses)-i)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// try gives one address its share of the time that is left, so that one that
// swallows packets leaves some to the next.
func (g *guard) try(ctx context.Context, address netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return g.connect(ctx, address)
}

// vet returns the addresses of a host, all of which may be dialled.
func (g *guard) vet(ctx context.Context, host string) ([]netip.Addr, error) {
	addresses := []netip.Addr{}
	if literal, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, literal)
	} else if !g.allowAll && endsInNumber(host) {
		return nil, errForbiddenAddress
	} else if addresses, err = g.resolve(ctx, host); err != nil {
		return nil, err
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	for i, ip := range addresses {
		if !g.allowAll && !webhook.PublicAddress(ip) {
			return nil, errForbiddenAddress
		}
		addresses[i] = ip.Unmap()
	}
	return addresses, nil
}

// endsInNumber tells IPv4 addresses in notations that only some parsers read
// (2130706433, 0x7f.1, 0177.0.0.1, 127.0.0.1.) from names: no top-level domain is
// a number (WHATWG URL, "ends in a number"). What a resolver would make of them
// depends on the platform.
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// control sees the address of every socket before it connects.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	if g.allowAll {
		return nil
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil || !webhook.PublicAddress(target.Addr()) {
		return errForbiddenAddress
	}
	return nil
}
