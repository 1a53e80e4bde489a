package dev

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooseListen(t *testing.T) {
	t.Parallel()
	chosen, err := chooseListen("127.0.0.1:0")
	require.NoError(t, err)
	require.Regexp(t, `^127\.0\.0\.1:[1-9]\d*$`, chosen)

	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = chooseListen(taken.Addr().String())
	require.ErrorIs(t, err, ErrPortInUse)
	require.ErrorContains(t, err, "--listen")

	_, err = chooseListen("nonsense")
	require.ErrorContains(t, err, "--listen nonsense")
}

func TestClientURL(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"0.0.0.0:8080":   "http://127.0.0.1:8080",
		"[::]:8080":      "http://127.0.0.1:8080",
		"[::1]:8080":     "http://[::1]:8080",
	} {
		require.Equal(t, want, clientURL(address))
	}
}
