package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// egress is the HTTP proxy of one dispatcher, which tells what that one sends from
// what others send.
type egress struct {
	url      string
	requests atomic.Int64
}

func newEgress(t *testing.T) *egress {
	t.Helper()
	e := &egress{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		onward, err := net.Dial("tcp", r.Host)
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		// Answered after it is taken over: the server reads ahead, and what the client
		// sends on the answer would begin there.
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			_ = onward.Close()
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		end := sync.OnceFunc(func() { _, _ = conn.Close(), onward.Close() })
		t.Cleanup(end)
		go func() { defer end(); _, _ = io.Copy(io.MultiWriter(e, onward), conn) }()
		go func() { defer end(); _, _ = io.Copy(conn, onward) }()
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

// sent returns how many requests have gone through.
func (e *egress) sent() int64 { return e.requests.Load() }

// Write counts the beginnings of requests: the client writes each in one piece.
func (e *egress) Write(p []byte) (int, error) {
	e.requests.Add(int64(bytes.Count(p, []byte("POST / HTTP/1.1"))))
	return len(p), nil
}
