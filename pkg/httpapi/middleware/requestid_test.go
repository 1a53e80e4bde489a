package middleware

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	for _, sane := range []string{"a", "req-1/2:3", "two words", strings.Repeat("a", 128)} {
		require.Equal(t, sane, requestID(http.Header{"X-Request-Id": {sane}}))
	}
	for _, bad := range []string{"", strings.Repeat("a", 129), "a\tb", "a\x00", "ä", "a\x7f"} {
		made := requestID(http.Header{"X-Request-Id": {bad}})
		require.Regexp(t, `^req_[0-9a-f]{30}$`, made)
	}
	require.NotEqual(t, "a", requestID(http.Header{"X-Request-Id": {"a", "a"}}), "two lines")
	first, second := requestID(nil), requestID(nil)
	require.NotEqual(t, first, second)
}
