package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/telemetry"
)

const (
	checkTimeout      = 2 * time.Second
	readHeaderTimeout = 5 * time.Second
	writeTimeout      = 30 * time.Second
	closeTimeout      = 2 * time.Second
	maxHeaderBytes    = 16 << 10
)

// health answers for the process. Nothing is cached: only operators and their
// probes ask here.
type health struct {
	db       *database.DB
	draining atomic.Bool
}

func newHealth(db *database.DB) *health { return &health{db: db} }

// drain makes /readyz say no.
func (h *health) drain() { h.draining.Store(true) }

// component is one line of /health.
type component struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitzero"`
}

func checkSchema(ctx context.Context, db *database.DB) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return db.CheckSchema(ctx)
}

// components tells PostgreSQL from its schema.
func (h *health) components(ctx context.Context) (all map[string]component, ok bool) {
	err := checkSchema(ctx, h.db)
	switch {
	case err == nil:
		return map[string]component{"postgres": {Status: "ok"}, "schema": {Status: "ok"}}, true
	case errors.Is(err, database.ErrSchemaTooOld):
		return map[string]component{"postgres": {Status: "ok"}, "schema": {Status: "down", Detail: err.Error()}}, false
	default:
		return map[string]component{"postgres": {Status: "down"}, "schema": {Status: "unknown"}}, false
	}
}

func (h *health) show(w http.ResponseWriter, r *http.Request) {
	components, ok := h.components(r.Context())
	answerHealth(w, ok, components)
}

func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	components, ok := h.components(r.Context())
	if h.draining.Load() {
		components, ok = map[string]component{"process": {Status: "down", Detail: "stopping"}}, false
	}
	answerHealth(w, ok, components)
}

func (h *health) live(w http.ResponseWriter, _ *http.Request) { answerHealth(w, true, nil) }

func answerHealth(w http.ResponseWriter, ok bool, components map[string]component) {
	body := struct {
		Status     string               `json:"status"`
		Components map[string]component `json:"components,omitzero"`
	}{Status: "ok", Components: components}
	status := http.StatusOK
	if !ok {
		body.Status, status = "down", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // a caller who hung up
}

// serveAdmin serves health and metrics until the function it returns is called.
func serveAdmin(listener net.Listener, h *health, registry *prometheus.Registry, log logrus.FieldLogger) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", h.show)
	mux.HandleFunc("GET /livez", h.live)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.Handle("GET /metrics", telemetry.Handler(registry))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, WriteTimeout: writeTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.WithError(err).Error("the admin listener failed; deliveries go on")
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // a scrape that takes longer than the stop
		}
	}
}
