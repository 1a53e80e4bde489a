package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrPortInUse says that another process listens where the API should.
var ErrPortInUse = errors.New("the port is in use")

// chooseListen checks that address can be listened on and replaces port 0 by a
// free one. Between the check and the start another process may take the port:
// the API then says so itself.
func chooseListen(address string) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("%w: %s; choose another with --listen, such as 127.0.0.1:0 for any free one", ErrPortInUse, address)
	}
	if err != nil {
		return "", fmt.Errorf("--listen %s: %w", address, err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// clientURL is where a client on this machine finds what listens on address.
func clientURL(address string) string {
	if parsed, err := netip.ParseAddrPort(address); err == nil && parsed.Addr().IsUnspecified() {
		address = fmt.Sprintf("127.0.0.1:%d", parsed.Port())
	}
	return "http://" + address
}
