package dispatch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Limits of one attempt.
const (
	tlsTimeout       = 5 * time.Second
	maxHeaderBytes   = 32 << 10
	maxBodyRead      = 16 << 10
	maxBodyKept      = 4 << 10
	maxErrorKept     = 500
	idleConnTimeout  = 30 * time.Second
	maxIdleConns     = 1024
	maxIdlePerHost   = 512
	userAgent        = "txn-webhooks/1"
	socketBufferSize = 4 << 10
)

// client sends one request at a time per call, on shared connections. It follows
// no redirect, looks for no proxy in the environment, inflates nothing and reads
// at most 16 KB of an answer: redirects, decompression bombs and endless bodies
// have nothing to hold on to.
type client struct {
	transport *http.Transport
	timeout   time.Duration
	buffers   sync.Pool
}

func newClient(g *guard, timeout time.Duration, roots *x509.CertPool) *client {
	return &client{
		timeout: timeout,
		buffers: sync.Pool{New: func() any { return new([maxBodyRead]byte) }},
		transport: &http.Transport{
			Proxy:                  nil, // the guard knows the one that is configured
			DialContext:            g.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout:    tlsTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true,
			MaxIdleConns:           maxIdleConns,
			MaxIdleConnsPerHost:    maxIdlePerHost,
			IdleConnTimeout:        idleConnTimeout,
			ReadBufferSize:         socketBufferSize,
			WriteBufferSize:        socketBufferSize,
			// HTTP/1.1 alone: one request per connection keeps a stuck one from
			// holding up others, and the caps count what the receiver sees.
			Protocols: httpProtocols(),
		},
	}
}

func httpProtocols() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &protocols
}

// answer is what came of one request.
type answer struct {
	// status is 0 when no complete answer came; err says why then.
	status   int
	err      error
	timedOut bool
	body     string
	// retryAfter and date are the headers of these names: a moment in the first is
	// on the receiver's clock, and the second says what that shows.
	retryAfter, date string
	latency          time.Duration
	sentAt           time.Time
}

// send makes one request, its answer's body included, within the timeout.
func (c *client) send(ctx context.Context, request *http.Request, body []byte) answer {
	a := answer{sentAt: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request = request.WithContext(ctx)
	request.ContentLength = int64(len(body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	request.Body, _ = request.GetBody()
	response, err := c.transport.RoundTrip(request) //nolint:bodyclose // read closes it
	if err == nil {
		a.retryAfter, a.date = response.Header.Get("Retry-After"), response.Header.Get("Date")
		a.body, err = c.read(response)
		a.status = response.StatusCode
	}
	a.latency = time.Since(a.sentAt)
	if err != nil {
		a.fail(ctx, err)
	}
	return a
}

// read returns the beginning of the body. What is longer than the limit is cut
// off with its connection.
func (c *client) read(response *http.Response) (string, error) {
	body := response.Body
	defer func() { _ = body.Close() }()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return "", nil // nobody asked; this body is the connection, which no deadline ends
	}
	buffer := c.buffers.Get().(*[maxBodyRead]byte)
	defer c.buffers.Put(buffer)
	n := 0
	for n < len(buffer) {
		// Not io.ReadFull: it calls a short body and a broken one the same.
		m, err := body.Read(buffer[n:])
		n += m
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return beginning(buffer[:n], maxBodyKept), nil
}

// fail records an error. Its text names the peer but no header, body or URL.
func (a *answer) fail(ctx context.Context, err error) {
	var netErr net.Error
	a.status, a.err = 0, err
	a.timedOut = errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// reason is the error as the attempt log shows it.
func (a *answer) reason() string {
	switch {
	case a.err == nil:
		return ""
	case errors.Is(a.err, errForbiddenAddress):
		return errForbiddenAddress.Error()
	case a.timedOut:
		return "timeout: " + beginning([]byte(a.err.Error()), maxErrorKept)
	default:
		return beginning([]byte(a.err.Error()), maxErrorKept)
	}
}

// beginning is the part of a stranger's text that is kept; the cut splits no
// character, which the database would refuse.
func beginning(raw []byte, most int) string {
	if len(raw) > most {
		raw = raw[:most]
		for range utf8.UTFMax - 1 {
			if last, size := utf8.DecodeLastRune(raw); last != utf8.RuneError || size != 1 {
				break
			}
			raw = raw[:len(raw)-1]
		}
	}
	return printable(raw)
}

// printable makes bytes of a stranger fit for a text column: valid UTF-8 and no
// NUL.
func printable(raw []byte) string {
	if utf8.Valid(raw) && bytes.IndexByte(raw, 0) < 0 {
		return string(raw)
	}
	return strings.ReplaceAll(strings.ToValidUTF8(string(raw), "\uFFFD"), "\x00", "")
}

func (c *client) close() { c.transport.CloseIdleConnections() }
