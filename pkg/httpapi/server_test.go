package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/httpapi"
)

func TestEveryTimeoutIsSet(t *testing.T) {
	t.Parallel()
	server := httpapi.NewServer(http.NotFoundHandler(), nil)
	for _, timeout := range []time.Duration{
		server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout,
	} {
		require.Positive(t, timeout)
	}
	require.Positive(t, server.MaxHeaderBytes)
}

// TestSlowHeadersAreCutOff sends a request line and then nothing.
func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(api.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET /v1/business HTTP/1.1\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = bufio.NewReader(conn).ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestLargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "GET", "/v1/business", nil, apitest.Header("X-Large", strings.Repeat("a", 64<<10)))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.Status)
}
