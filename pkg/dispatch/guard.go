package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
}

func newGuard(allowAll bool) *guard {
	return &guard{allowAll: allowAll, resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}}
}

// dial is http.Transport.DialContext.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses, err := g.vet(ctx, host)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{KeepAlive: keepAlive, Control: g.control}
	var failures []error
	for _, ip := range addresses[:min(len(addresses), maxAddresses)] {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (g *guard) vet(ctx context.Context, host string) ([]netip.Addr, error) {
	addresses := []netip.Addr{}
	if literal, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, literal)
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
