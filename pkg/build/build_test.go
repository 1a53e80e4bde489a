package build

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCurrentIsNeverEmpty(t *testing.T) {
	t.Parallel()
	info := Current()
	for _, value := range []string{info.Version, info.Commit, info.Date, info.Go, info.Platform} {
		require.NotEmpty(t, value)
	}
}

func TestStampComesBeforeTheToolchainsRecord(t *testing.T) {
	t.Parallel()
	recorded := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-01T00:00:00Z"}},
	}
	var unstamped Info
	unstamped.complete(recorded)
	require.Equal(t, Info{Version: "v1.2.3", Commit: "abc", Date: "2026-01-01T00:00:00Z"}, unstamped)

	stamped := Info{Version: "v2.0.0", Commit: "def", Date: "2026-02-02T00:00:00Z"}
	stamped.complete(recorded)
	require.Equal(t, Info{Version: "v2.0.0", Commit: "def", Date: "2026-02-02T00:00:00Z"}, stamped)

	var working Info
	working.complete(&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}})
	require.Empty(t, working.Version)
}
