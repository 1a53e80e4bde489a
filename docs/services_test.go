package docs_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// TestServicesStartByHand executes the block "services" of README.md on an empty
// database.
func TestServicesStartByHand(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	database := dbtest.New(t)
	database.Exec(t, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	s := startShell(t, t.TempDir(), append(slices.Clone(d.environment),
		"TXN_API_LISTEN=127.0.0.1:0", "TXN_API_ADMIN_LISTEN=", "TXN_DISPATCHER_ADMIN_LISTEN=", "TXN_API_SHUTDOWN_DELAY=0s"))
	executed, ready := 0, false
	for _, b := range readPage(t, "README.md").blocks {
		if b.mark != "drill: services" {
			continue
		}
		for _, command := range b.commands(t) {
			out, errors := s.run(strings.ReplaceAll(command, "postgres://txn@db/txn", "'"+database.URL+"'"))
			executed++
			for line := range strings.Lines(out + errors) {
				var said struct{ Message, API string }
				if json.Unmarshal([]byte(line), &said) == nil && said.API != "" {
					ready = isReady(t, "http://"+said.API)
				}
			}
		}
	}
	require.Equal(t, 5, executed)
	require.True(t, ready)
}

func isReady(t *testing.T, api string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/readyz", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
