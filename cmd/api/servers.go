package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// group is the servers of one process.
type group struct {
	servers []*http.Server
	failed  chan error
}

// serve starts a server.
func (g *group) serve(server *http.Server, listener net.Listener) {
	if g.failed == nil {
		g.failed = make(chan error, 1)
	}
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
