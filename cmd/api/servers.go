package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// group is the servers of one process.
type group struct {
	servers []*http.Server
	failed  chan error
	leaving atomic.Bool
}

// serve starts a server.
func (g *group) serve(server *http.Server, listener net.Listener) {
	if g.failed == nil {
		g.failed = make(chan error, 1)
	}
	server.Handler = g.partings(server.Handler)
	g.servers = append(g.servers, server)
	go func() {
		err := server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			return
		}
		select {
		case g.failed <- err:
		default: // the first failure is the one that counts
		}
	}()
}

// wait returns nil when ctx ends, and a server's failure when that comes first.
func (g *group) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-g.failed:
		return err
	}
}

// partings ends the connection with every answer once the group is leaving.
func (g *group) partings(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// sendAway serves for a while longer while every answer ends its connection, so
// that clients come back on another one, which leads elsewhere if their load
// balancer knows by then. A connection that the server closes while it is idle
// meets requests on their way, which fail without an answer. It returns a server's
// failure.
func (g *group) sendAway(delay time.Duration) error {
	g.leaving.Store(true)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-g.failed:
		return err
	}
}

// stop closes the listeners, waits for the requests in flight for at most
// patience and then cuts them off, which leaves the rest of grace to what comes
// after the servers.
func (g *group) stop(grace context.Context, patience time.Duration, log logrus.FieldLogger) {
	patient, cancel := context.WithTimeout(grace, patience)
	defer cancel()
	var stopping sync.WaitGroup
	for _, server := range g.servers {
		stopping.Go(func() {
			if server.Shutdown(patient) != nil {
				log.Warn("requests were still running near the end of the grace period and were cut off")
				_ = server.Close() // nothing is left to save
			}
		})
	}
	stopping.Wait()
}
