// Package build says which build of txn this is.
package build

import (
	"runtime"
	"runtime/debug"
)

// Stamped by `make build` through the linker.
var (
	version string
	commit  string
	date    string
)

// Info names a build. Fields that are not known are "unknown".
type Info struct {
	// Version is a tag, or a tag with what came after it; "dev" when the binary
	// was built without a stamp.
	Version string `json:"version"`
	// Commit is the revision that was built.
	Commit string `json:"commit"`
	// Date is when the revision was committed, RFC 3339.
	Date string `json:"date"`
	// Go is the version of the toolchain.
	Go string `json:"go"`
	// Platform is the operating system and architecture built for.
	Platform string `json:"platform"`
}

const unknown = "unknown"

// Current describes this binary: by its stamp, else by what the toolchain
// recorded of a module or a working copy.
func Current() Info {
	info := Info{
		Version: version, Commit: commit, Date: date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if recorded, ok := debug.ReadBuildInfo(); ok {
		info.complete(recorded)
	}
	info.Version = orElse(info.Version, "dev")
	info.Commit = orElse(info.Commit, unknown)
	info.Date = orElse(info.Date, unknown)
	return info
}

func (i *Info) complete(recorded *debug.BuildInfo) {
	if recorded.Main.Version != "(devel)" {
		i.Version = orElse(i.Version, recorded.Main.Version)
	}
	for _, setting := range recorded.Settings {
		switch setting.Key {
		case "vcs.revision":
			i.Commit = orElse(i.Commit, setting.Value)
		case "vcs.time":
			i.Date = orElse(i.Date, setting.Value)
		}
	}
}

func orElse(value, fallback string) string {
	if value != "" {
		return value
	}
	return fallback
}
