package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxReceived bounds a body; events of the benchmark have about 1 KB.
const maxReceived = 1 << 20

// Receiver is an HTTP server on the loopback that reads every body and answers
// 200. It is the same for every sender that is compared.
type Receiver struct {
	server *http.Server
	url    string

	received atomic.Int64
	last     atomic.Int64 // nanoseconds since the epoch
	watch    atomic.Pointer[Watch]
	bodies   sync.Pool
}

// Watch is told of a request: its path, its body, which is valid only during the
// call, and when it had come in.
type Watch func(path string, body []byte, at time.Time)

// NewReceiver starts a receiver on a free port.
func NewReceiver() (*Receiver, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Receiver{url: "http://" + listener.Addr().String()}
	r.bodies.New = func() any { return new(bytes.Buffer) }
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with ErrServerClosed
	return r, nil
}

// URL is the receiver's address, without a slash at the end. Any path is
// accepted.
func (r *Receiver) URL() string { return r.url }

// ServeHTTP takes one request in.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := r.bodies.Get().(*bytes.Buffer)
	body.Reset()
	defer r.bodies.Put(body)
	if _, err := io.Copy(body, http.MaxBytesReader(w, request.Body, maxReceived)); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	now := time.Now()
	if watch := r.watch.Load(); watch != nil {
		(*watch)(request.URL.Path, body.Bytes(), now)
	}
	r.last.Store(now.UnixNano())
	r.received.Add(1)
	w.WriteHeader(http.StatusOK)
}

// Reset forgets what was received. watch, if not nil, is called from many
// goroutines with every request.
func (r *Receiver) Reset(watch Watch) {
	if watch == nil {
		r.watch.Store(nil)
	} else {
		r.watch.Store(&watch)
	}
	r.received.Store(0)
}

// Received is how many requests came in since Reset.
func (r *Receiver) Received() int64 { return r.received.Load() }

// Await waits until n requests have come in and returns when the last one did.
// It gives up with an error when none comes in for as long as patience.
func (r *Receiver) Await(ctx context.Context, n int64, patience time.Duration) (time.Time, error) {
	const poll = 2 * time.Millisecond
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	seen, since := int64(-1), time.Now()
	for {
		now := r.Received()
		if now >= n {
			return time.Unix(0, r.last.Load()), nil
		}
		if now != seen {
			seen, since = now, time.Now()
		}
		if time.Since(since) > patience {
			return time.Time{}, &StalledError{Received: now, Wanted: n, Patience: patience}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-ticker.C:
		}
	}
}

// Close stops the receiver.
func (r *Receiver) Close() error {
	err := r.server.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
