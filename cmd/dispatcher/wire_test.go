package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire is a proxy in front of PostgreSQL that reads along: it can break
// connections at a statement of choice, cut off those that LISTEN, and let
// nothing through for a while. Programs need no hooks for their faults that way:
// what is tested is what ships.
type wire struct {
	t      *testing.T
	url    string
	server string
	// open is held for writing while nothing may pass.
	open sync.RWMutex

	mu       sync.Mutex
	sessions map[*session]struct{}
	point    *failpoint
}

// moment is where in a statement's life a failpoint lies.
type moment int

const (
	before    moment = iota // the server has not heard of it
	executed                // it has run, its transaction has not committed
	committed               // its transaction has committed, the client does not know
)

// failpoint ends a connection at a statement.
type failpoint struct {
	// statement is part of its text, skip how many to let pass.
	statement string
	skip      int
	at        moment
	// act is called once, right before the connection ends.
	act func()
	hit chan struct{}
}

// newWire puts a proxy in front of the database.
func newWire(t *testing.T, database string) *wire {
	t.Helper()
	address, err := url.Parse(database)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{t: t, server: address.Host, sessions: make(map[*session]struct{})}
	address.Host = listener.Addr().String()
	w.url = address.String()
	t.Cleanup(func() { _ = listener.Close(); w.cut(func(*session) bool { return true }) })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go w.serve(client)
		}
	}()
	return w
}

// fail sets the failpoint; the channel is closed once it has been hit.
func (w *wire) fail(point failpoint) (hit <-chan struct{}) {
	point.hit = make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.point = &point
	return point.hit
}

// cut ends connections.
func (w *wire) cut(which func(*session) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.sessions {
		if which(s) {
			s.close()
			n++
		}
	}
	return n
}

// listening finds connections that LISTEN.
func listening(s *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listens
}

// partition lets nothing pass until the function returned is called: no
// connection breaks.
func (w *wire) partition() (heal func()) {
	w.open.Lock()
	heal = sync.OnceFunc(w.open.Unlock)
	w.t.Cleanup(heal)
	return heal
}

// take returns the failpoint if this statement is the one.
func (w *wire) take(statement string) *failpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.point == nil || !strings.Contains(statement, w.point.statement) {
		return nil
	}
	if w.point.skip > 0 {
		w.point.skip--
		return nil
	}
	point := w.point
	w.point = nil
	return point
}

// session is one connection through the proxy. Its fields belong to the
// goroutine that reads the client but for those said to be shared.
type session struct {
	wire           *wire
	client, server net.Conn
	prepared       map[string]string // statements by name
	bound          map[string]string // statements by portal
	executions     int

	mu      sync.Mutex // shared from here
	listens bool
	// muted keeps answers from the client; done counts executions that the server
	// has finished, idle its readiness for more.
	muted      bool
	done, idle int
	changed    sync.Cond
	closed     bool
}

func (w *wire) serve(client net.Conn) {
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		_ = client.Close()
		return
	}
	s := &session{wire: w, client: client, server: server, prepared: map[string]string{}, bound: map[string]string{}}
	s.changed.L = &s.mu
	w.mu.Lock()
	w.sessions[s] = struct{}{}
	w.mu.Unlock()
	go s.answers()
	s.requests()
	s.close()
	w.mu.Lock()
	delete(w.sessions, s)
	w.mu.Unlock()
}

func (s *session) close() {
	_, _ = s.client.Close(), s.server.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
}

// requests passes on what the client says, until a failpoint ends it.
func (s *session) requests() {
	reader := bufio.NewReader(s.client)
	startup, err := readBody(reader, nil)
	if err != nil || s.send(s.server, startup) != nil {
		return
	}
	for {
		message, err := readMessage(reader)
		if err != nil {
			return
		}
		statement, executes := s.follow(message)
		if !executes {
			err = s.send(s.server, message)
		} else if point := s.wire.take(statement); point != nil {
			s.stop(reader, message, point)
			return
		} else {
			s.executions++
			err = s.send(s.server, message)
		}
		if err != nil {
			return
		}
	}
}

// stop plays a failpoint.
func (s *session) stop(reader *bufio.Reader, execute []byte, point *failpoint) {
	defer close(point.hit)
	defer point.act()
	if point.at == before {
		return
	}
	s.mu.Lock()
	s.muted = true
	ready := s.idle + 1
	s.mu.Unlock()
	s.executions++
	if s.send(s.server, execute) != nil {
		return
	}
	if point.at == executed {
		flush := []byte{'H', 0, 0, 0, 4}
		_ = s.send(s.server, flush)
		s.await(func() bool { return s.done >= s.executions })
		return
	}
	for message := execute; message[0] != 'S'; {
		var err error
		if message, err = readMessage(reader); err != nil || s.send(s.server, message) != nil {
			return
		}
	}
	s.await(func() bool { return s.idle >= ready })
}

// await waits for the server.
func (s *session) await(reached func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !reached() && !s.closed {
		s.changed.Wait()
	}
}

// answers passes on what the server says.
func (s *session) answers() {
	defer s.close()
	reader := bufio.NewReader(s.server)
	for {
		message, err := readMessage(reader)
		if err != nil {
			return
		}
		s.mu.Lock()
		switch message[0] {
		case 'C', 'E', 'I', 's':
			s.done++
		case 'Z':
			s.idle++
		}
		muted := s.muted
		s.changed.Broadcast()
		s.mu.Unlock()
		if !muted && s.send(s.client, message) != nil {
			return
		}
	}
}

// follow keeps track of statements and says which one a message executes. Simple
// queries count as one execution for the server and are of no interest here.
func (s *session) follow(message []byte) (statement string, executes bool) {
	body := message[5:]
	switch message[0] {
	case 'P':
		name, rest := text(body)
		s.prepared[name], _ = text(rest)
	case 'B':
		portal, rest := text(body)
		name, _ := text(rest)
		s.bound[portal] = s.prepared[name]
	case 'E':
		portal, _ := text(body)
		return s.bound[portal], true
	case 'Q':
		s.executions++
		if query, _ := text(body); strings.HasPrefix(query, "LISTEN") {
			s.executions++ // two statements
			s.mu.Lock()
			s.listens = true
			s.mu.Unlock()
		}
	}
	return "", false
}

// send writes once things may pass.
func (s *session) send(to io.Writer, message []byte) error {
	s.wire.open.RLock()
	defer s.wire.open.RUnlock()
	_, err := to.Write(message)
	return err
}

// readMessage reads a type byte and what follows.
func readMessage(reader *bufio.Reader) ([]byte, error) {
	kind, err := reader.ReadByte()
	if err != nil {
		return nil, err
	}
	return readBody(reader, []byte{kind})
}

// readBody appends a length and as many bytes.
func readBody(reader *bufio.Reader, message []byte) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(reader, length[:]); err != nil {
		return nil, err
	}
	message = append(message, length[:]...)
	start := len(message)
	message = append(message, make([]byte, binary.BigEndian.Uint32(length[:])-4)...)
	_, err := io.ReadFull(reader, message[start:])
	return message, err
}

// text splits a string with its terminator off.
func text(body []byte) (text string, rest []byte) {
	text, after, _ := strings.Cut(string(body), "\x00")
	return text, []byte(after)
}
