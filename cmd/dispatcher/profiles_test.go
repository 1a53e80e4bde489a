package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProfilesAreAskedFor: they are off by default.
func TestProfilesAreAskedFor(t *testing.T) {
	t.Parallel()
	for on, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		c := settings("postgres://127.0.0.1:1/none")
		c.Dispatcher.Pprof = on
		admin, stop, _ := start(t, c)
		status, _ := get(t, admin+"/debug/pprof/heap")
		require.Equal(t, want, status)
		require.NoError(t, stop())
	}
}
