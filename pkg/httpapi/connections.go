package httpapi

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxWaiting is how many connections of a server may be open without a request
// under way. Each takes some 17 KB, and ten thousand would take what there is.
const maxWaiting = 4096

// connections closes those that have waited longest for a request, or for the rest
// of its header, when there are too many. Somebody who needs a connection uses it;
// whoever collects them loses his own first.
type connections struct {
	mu      sync.Mutex
	most    int
	waiting *list.List // of net.Conn, in the order in which they began to wait
	places  map[net.Conn]*list.Element
}

func newConnections(most int) *connections {
	return &connections{most: most, waiting: list.New(), places: make(map[net.Conn]*list.Element)}
}

// follow is told every change of a connection (http.Server.ConnState).
func (c *connections) follow(connection net.Conn, state http.ConnState) {
	if longest := c.note(connection, state); longest != nil {
		_ = longest.Close() // nothing is lost
	}
}

// note returns the connection that is to be closed, nil for none.
func (c *connections) note(connection net.Conn, state http.ConnState) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(connection)
	if state != http.StateNew && state != http.StateIdle {
		return nil
	}
	c.places[connection] = c.waiting.PushBack(connection)
	if c.waiting.Len() <= c.most {
		return nil
	}
	longest, ok := c.waiting.Front().Value.(net.Conn)
	if ok {
		c.forget(longest)
	}
	return longest
}

// forget takes a connection out of those that wait. The caller holds mu.
func (c *connections) forget(connection net.Conn) {
	if place := c.places[connection]; place != nil {
		c.waiting.Remove(place)
		delete(c.places, connection)
	}
}
