package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProfilesAreAskedFor: off by default, and never on the public address.
func TestProfilesAreAskedFor(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // profiles are in no contract
	for _, on := range []bool{false, true} {
		c := settings("postgres://127.0.0.1:1/none")
		c.API.Pprof = on
		a := start(t, c)
		for address, want := range map[string]bool{
			a.admin + "/debug/pprof/":                   on,
			a.admin + "/debug/pprof/heap":               on,
			a.admin + "/debug/pprof/trace?seconds=0.01": on,
			a.api + "/debug/pprof/heap":                 false,
			a.api + "/debug/pprof/cmdline":              false,
		} {
			answer, err := client.Get("http://" + address)
			require.NoError(t, err)
			answer.Body.Close()
			if want {
				require.Equal(t, http.StatusOK, answer.StatusCode, address)
				continue
			}
			require.Equal(t, http.StatusNotFound, answer.StatusCode, address)
		}
	}
}
