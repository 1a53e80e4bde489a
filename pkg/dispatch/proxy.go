package dispatch

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// errProxy stands for everything that a proxy says beyond its status.
var errProxy = errors.New("the proxy does not speak HTTP")

// proxy is an HTTP proxy on the way to every endpoint. It is asked to CONNECT to
// the address that the guard has vetted, never to a name, so that it need not be
// trusted with what is public and what is not. TLS runs through it, end to end.
type proxy struct {
	dialer  net.Dialer
	address string
	// tls is the configuration of the connection to the proxy itself, nil for http.
	tls    *tls.Config
	header http.Header
}

// newProxy takes http://[user:password@]host[:port] or the same with https; nil is
// no proxy.
func newProxy(address *url.URL) (*proxy, error) {
	if address == nil {
		return nil, nil
	}
	p := &proxy{dialer: net.Dialer{KeepAlive: keepAlive}, header: http.Header{"User-Agent": {userAgent}}}
	standard := "80"
	switch address.Scheme {
	case "http":
	case "https":
		standard = "443"
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: address.Hostname()}
	default:
		return nil, errors.New("dispatch: the proxy must have an http or https URL")
	}
	if address.Hostname() == "" {
		return nil, errors.New("dispatch: the proxy must have a host")
	}
	p.address = net.JoinHostPort(address.Hostname(), cmp.Or(address.Port(), standard))
	if user := address.User; user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		p.header.Set("Proxy-Authorization", "Basic "+credentials)
	}
	return p, nil
}

// connect returns a connection to the address through the proxy.
func (p *proxy) connect(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	conn, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, fmt.Errorf("reaching the proxy: %w", err)
	}
	// Reads and writes end with the context.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := p.tunnel(ctx, conn, address.String())
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return tunnel, nil
}

func (p *proxy) tunnel(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	if p.tls != nil {
		secured := tls.Client(conn, p.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("reaching the proxy: %w", err)
		}
		conn = secured
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: p.header}
	if err := request.Write(conn); err != nil {
		return nil, fmt.Errorf("asking the proxy: %w", err)
	}
	reader := bufio.NewReader(io.LimitReader(conn, maxHeaderBytes))
	response, err := http.ReadResponse(reader, request) //nolint:bodyclose // the answer to CONNECT has none
	if err != nil {
		// The text would quote what the proxy said, and a proxy may echo credentials.
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errProxy
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the proxy answered %d", response.StatusCode)
	}
	if reader.Buffered() > 0 {
		return nil, errProxy // an endpoint never speaks first
	}
	return conn, nil
}
