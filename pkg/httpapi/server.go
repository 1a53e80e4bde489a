package httpapi

import (
	"bytes"
	"log"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"
)

// Bounds of a connection. A body of 8 MiB takes 30 s at 2.2 Mbit/s. The write
// timeout begins with the request's headers and so includes the work on it;
// streamed answers extend it as they get through.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// NewServer returns a server for the handler with every timeout set and the number
// of its connections that wait bounded. What
// net/http itself has to say (broken handshakes and the like) goes to logger at
// debug level.
func NewServer(handler http.Handler, logger logrus.FieldLogger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         newConnections(maxWaiting).follow,
		ErrorLog:          log.New(lines{logger}, "", 0),
	}
}

// lines is an io.Writer that logs what is written to it.
type lines struct{ logger logrus.FieldLogger }

// Write logs one line.
func (l lines) Write(line []byte) (int, error) {
	l.logger.Debug(string(bytes.TrimSpace(line)))
	return len(line), nil
}
