package main

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// listen counts the connections to a port of every local address.
func listen(t *testing.T) (port string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port, connections
}

// A dispatcher as it runs in production opens no connection to anything inside,
// under whatever name (F15), and says so in the log of attempts. Names that are
// rebound are the guard's own tests.
func TestAStrictDispatcherReachesNothingInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	port, connections := listen(t)
	hosts := []string{
		"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
		"2130706433", "0x7f000001", "017700000001", "127.1", "127.0.0.1.", "169.254.169.254", "[fe80::1%25lo]",
	}
	for _, host := range hosts {
		w.register("http://" + host + ":" + port + "/")
	}
	p := spawn(t, w.url, "TXN_WEBHOOKS_ALLOW_INSECURE=false", "TXN_WEBHOOKS_RETRY_SCHEDULE=10ms", "HTTP_PROXY=http://127.0.0.1:"+port)
	w.events(1)
	w.drained(recovery())
	require.Equal(t, len(hosts), w.number(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`))
	require.Equal(t, 2*len(hosts), w.number(`SELECT count(*) FROM webhook_attempts WHERE status_code IS NULL AND error = 'the address is not public'`))
	require.Zero(t, connections.Load())
	p.stop(t)
}

// A redirect into the network is a failed attempt and nothing else.
func TestARedirectInsideReachesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t).URL)
	port, connections := listen(t)
	for _, location := range []string{"http://127.0.0.1:" + port + "/", "http://169.254.169.254/latest/meta-data/"} {
		w.endpoint(0).reply = func(_ int, header http.Header) int {
			header.Set("Location", location)
			return http.StatusFound
		}
	}
	p := spawn(t, w.url, "TXN_WEBHOOKS_RETRY_SCHEDULE=10ms")
	w.events(3)
	w.drained(recovery())
	sum := w.account()
	require.Equal(t, 6, sum.failed, "%+v", sum)
	require.Equal(t, 12, w.number(`SELECT count(*) FROM webhook_attempts WHERE status_code = 302`))
	require.Zero(t, connections.Load())
	p.stop(t)
}
