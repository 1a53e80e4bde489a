package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports are drawn from below the ranges that Linux (32768 up) and macOS (49152 up) take the local ports of outgoing
// connections from: a server that is down for a moment would otherwise lose its port to any passing connection.
const (
	firstPort = 15000
	lastPort  = 29999
	portTries = 200
)

// FreePort returns a TCP port of 127.0.0.1 that nothing listens on. It may be taken by the time it is used: the
// servers of this package try another one when that happens.
func FreePort() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if !portTaken(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port found between %d and %d in %d tries", firstPort, lastPort, portTries)
}

// portTaken reports whether a server could not listen on the port.
func portTaken(port int) bool {
	listener, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	return listener.Close() != nil
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
