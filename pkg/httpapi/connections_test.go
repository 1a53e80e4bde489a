package httpapi

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Those that have waited longest are closed; those with a request under way never.
func TestConnectionsThatWaitLongestAreClosed(t *testing.T) {
	t.Parallel()
	c := newConnections(3)
	conns := make([]net.Conn, 6)
	for i := range conns {
		conns[i] = new(net.TCPConn)
	}
	for _, conn := range conns[:3] {
		require.Nil(t, c.note(conn, http.StateNew))
	}
	require.Nil(t, c.note(conns[0], http.StateActive))
	require.Nil(t, c.note(conns[3], http.StateNew), "three wait, one works")
	require.Equal(t, conns[1], c.note(conns[4], http.StateNew))
	require.Equal(t, conns[2], c.note(conns[0], http.StateIdle), "it begins to wait anew")
	require.Nil(t, c.note(conns[1], http.StateClosed))
	require.Nil(t, c.note(conns[3], http.StateClosed))
	require.Nil(t, c.note(conns[5], http.StateNew))
	for _, conn := range []net.Conn{conns[0], conns[4], conns[5]} {
		require.Nil(t, c.note(conn, http.StateClosed))
	}
	require.Zero(t, c.waiting.Len())
	require.Empty(t, c.places)
}
