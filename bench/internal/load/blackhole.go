package load

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// BlackHole is an endpoint that takes every request and never answers. It keeps
// connections until the sender gives up.
type BlackHole struct {
	listener net.Listener
	accepted atomic.Int64

	mu     sync.Mutex
	open   map[net.Conn]struct{} // nil once closed
	taking sync.WaitGroup
}

// NewBlackHole starts one on a free port of the loopback.
func NewBlackHole() (*BlackHole, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &BlackHole{listener: listener, open: map[net.Conn]struct{}{}}
	b.taking.Go(b.accept)
	return b, nil
}

// URL is the black hole's address, without a slash at the end.
func (b *BlackHole) URL() string { return "http://" + b.listener.Addr().String() }

// Accepted is how many connections have been made.
func (b *BlackHole) Accepted() int64 { return b.accepted.Load() }

func (b *BlackHole) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return // closed
		}
		b.accepted.Add(1)
		if b.keep(conn) {
			b.taking.Go(func() { b.swallow(conn) })
		}
	}
}

// keep reports whether the connection may stay.
func (b *BlackHole) keep(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		_ = conn.Close() // nobody is interested any more
		return false
	}
	b.open[conn] = struct{}{}
	return true
}

func (b *BlackHole) swallow(conn net.Conn) {
	_, _ = io.Copy(io.Discard, conn) // ends when either side closes
	_ = conn.Close()                 // as above
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, conn)
}

// Close ends all connections.
func (b *BlackHole) Close() error {
	err := b.listener.Close()
	b.mu.Lock()
	for conn := range b.open {
		_ = conn.Close() // swallow sees it
	}
	b.open = nil
	b.mu.Unlock()
	b.taking.Wait()
	return err
}
