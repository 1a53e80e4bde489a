package telemetry

import (
	"net/http"
	"net/http/pprof"
)

// ProfilesPath is where Profiles wants to be served: `go tool pprof` asks there.
const ProfilesPath = "/debug/pprof/"

// Profiles answers with profiles of this process. They show how it works inside,
// and a CPU profile costs a few per cent as long as it is taken: for the admin
// address, when somebody asked for them.
func Profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ProfilesPath, pprof.Index)
	mux.HandleFunc("GET "+ProfilesPath+"cmdline", pprof.Cmdline)
	mux.HandleFunc("GET "+ProfilesPath+"profile", pprof.Profile)
	mux.HandleFunc("GET "+ProfilesPath+"trace", pprof.Trace)
	return mux
}
