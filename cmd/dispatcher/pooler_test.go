package main

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// pooler is a transaction pooler: a client has a connection to the server from the
// first message of a transaction to its end, and another one the next time. What
// belongs to a session - prepared statements, LISTEN - is lost or somebody else's.
type pooler struct {
	url     string
	servers chan *pooled
	changes atomic.Int64
	mu      sync.Mutex
	closed  bool
}

type pooled struct {
	*pgconn.HijackedConn
	last *pgproto3.Backend // who had it
}

// newPooler puts a pooler with so many connections in front of the database.
func newPooler(t *testing.T, database string, size int) *pooler {
	t.Helper()
	address, err := url.Parse(database)
	require.NoError(t, err)
	p := &pooler{servers: make(chan *pooled, size)}
	for range size {
		conn, err := pgconn.Connect(t.Context(), database)
		require.NoError(t, err)
		hijacked, err := conn.Hijack()
		require.NoError(t, err)
		t.Cleanup(func() { _ = hijacked.Conn.Close() })
		p.servers <- &pooled{HijackedConn: hijacked}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close(); p.close() })
	address.Host = listener.Addr().String()
	p.url = address.String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				p.serve(pgproto3.NewBackend(client, client))
			}()
		}
	}()
	return p
}

// handovers returns how often a connection went from one client to another.
func (p *pooler) handovers() int64 { return p.changes.Load() }

func (p *pooler) serve(client *pgproto3.Backend) {
	startup, err := client.ReceiveStartupMessage()
	if err != nil {
		return
	}
	if _, cancels := startup.(*pgproto3.CancelRequest); cancels {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{
		"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on", "integer_datetimes": "on", "TimeZone": "UTC",
	} {
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for client.Flush() == nil {
		first, err := client.Receive()
		if _, ends := first.(*pgproto3.Terminate); ends || err != nil {
			return
		}
		server, ok := <-p.servers
		if !ok {
			return
		}
		if server.last != nil && server.last != client {
			p.changes.Add(1)
		}
		server.last = client
		if !transaction(client, server.Frontend, first) {
			// In the middle of something: a pooler would open another one.
			_ = server.Conn.Close()
			return
		}
		p.giveBack(server)
	}
}

func (p *pooler) giveBack(server *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.servers <- server
	}
}

func (p *pooler) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.servers)
}

// transaction passes on messages until the server is out of a transaction.
func transaction(client *pgproto3.Backend, server *pgproto3.Frontend, message pgproto3.FrontendMessage) (alive bool) {
	for {
		if _, ends := message.(*pgproto3.Terminate); ends {
			return false
		}
		server.Send(message)
		switch message.(type) {
		case *pgproto3.Sync, *pgproto3.Query:
			status, err := answer(client, server)
			if err != nil {
				return false
			}
			if status == 'I' {
				return true
			}
		}
		var err error
		if message, err = client.Receive(); err != nil {
			return false
		}
	}
}

// answer passes on what the server says until it is ready, and returns in which
// state.
func answer(client *pgproto3.Backend, server *pgproto3.Frontend) (status byte, err error) {
	if err := server.Flush(); err != nil {
		return 0, err
	}
	for {
		message, err := server.Receive()
		if err != nil {
			return 0, err
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus, client.Flush()
		}
	}
}
