package healthcheck_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/healthcheck"
)

// listen serves /livez with 200 and everything else with 503, and returns the
// port.
func listen(t *testing.T, network, address string) string {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("this machine has no %s: %v", network, err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":"draining"}`)
		}
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

func TestAskWhereTheServiceListens(t *testing.T) {
	t.Parallel()
	everywhere := listen(t, "tcp", ":0")
	for _, host := range []string{"", "0.0.0.0", "[::]", "127.0.0.1"} {
		require.NoError(t, healthcheck.Ask(t.Context(), host+":"+everywhere, "/livez"), host)
	}
	require.NoError(t, healthcheck.Ask(t.Context(), "[::1]:"+listen(t, "tcp6", "[::1]:0"), "/livez"))
}

func TestAskTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	port := listen(t, "tcp4", "127.0.0.1:0")
	err := healthcheck.Ask(t.Context(), "127.0.0.1:"+port, "/readyz")
	require.ErrorContains(t, err, "503 Service Unavailable")
	require.ErrorContains(t, err, "draining")

	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	free := listener.Addr().String()
	require.NoError(t, listener.Close())
	require.ErrorContains(t, healthcheck.Ask(t.Context(), free, "/livez"), "refused")
	require.Error(t, healthcheck.Ask(t.Context(), "nowhere", "/livez"))
}

func TestAskIgnoresProxies(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	// net/http itself leaves proxies out for localhost, not for this name of it.
	require.NoError(t, healthcheck.Ask(t.Context(), "0.0.0.0:"+listen(t, "tcp", ":0"), "/livez"))
}
