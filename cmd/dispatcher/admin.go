package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
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

// How the process and its components may be: the words of the API's /health.
const (
	statusOK       = "ok"
	statusDegraded = "degraded" // works, with less comfort
	statusDown     = "down"
	statusOff      = "off" // not configured
	statusDraining = "draining"
	statusOld      = "too_old"
)

// health answers for the process. Nothing is cached: only operators and their
// probes ask here.
type health struct {
	db       *database.DB
	redis    *redis.Client // nil when there is none
	draining atomic.Bool
}

func newHealth(db *database.DB, redis *redis.Client) *health { return &health{db: db, redis: redis} }

// drain makes /readyz say no.
func (h *health) drain() { h.draining.Store(true) }

// component is one line of /health.
type component struct {
	Status string `json:"status"`
	// Message says what to do about it.
	Message string `json:"message,omitzero"`
}

// healthReport is what /health and /readyz answer.
type healthReport struct {
	Status     string               `json:"status"`
	Components map[string]component `json:"components,omitzero"`
}

func checkSchema(ctx context.Context, db *database.DB) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return db.CheckSchema(ctx)
}

// examine looks at every component. Redis makes holds expire promptly and is not
// needed to send.
func (h *health) examine(ctx context.Context) healthReport {
	var postgres, schema, cache component
	var looking sync.WaitGroup
	looking.Go(func() { cache = h.examineRedis(ctx) })
	postgres, schema = h.examinePostgres(ctx)
	looking.Wait()
	report := healthReport{
		Status: statusOK, Components: map[string]component{"postgres": postgres, "redis": cache, "schema": schema},
	}
	switch {
	case postgres.Status != statusOK || schema.Status != statusOK:
		report.Status = statusDown
	case cache.Status == statusDown:
		report.Status = statusDegraded
	}
	return report
}

// examinePostgres tells PostgreSQL from its schema.
func (h *health) examinePostgres(ctx context.Context) (postgres, schema component) {
	err := checkSchema(ctx, h.db)
	switch {
	case err == nil:
		return component{Status: statusOK}, component{Status: statusOK}
	case errors.Is(err, database.ErrSchemaTooOld):
		return component{Status: statusOK}, component{Status: statusOld, Message: err.Error()}
	default:
		return component{Status: statusDown, Message: "nothing is sent until it is back; deliveries wait"}, component{Status: statusDown}
	}
}

func (h *health) examineRedis(ctx context.Context) component {
	if h.redis == nil {
		return component{Status: statusOff}
	}
	if h.redis.Ping(ctx).Err() != nil { // within the client's own timeout
		return component{Status: statusDown, Message: "overdue holds expire some seconds late"}
	}
	return component{Status: statusOK}
}

func (h *health) show(w http.ResponseWriter, r *http.Request) {
	answerHealth(w, h.examine(r.Context()))
}

func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	if h.draining.Load() {
		answerHealth(w, healthReport{Status: statusDraining})
		return
	}
	answerHealth(w, h.examine(r.Context()))
}

func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	answerHealth(w, healthReport{Status: statusOK})
}

func answerHealth(w http.ResponseWriter, report healthReport) {
	status := http.StatusOK
	if report.Status == statusDown || report.Status == statusDraining {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// In the same order each time: people read it too.
	_ = json.MarshalWrite(w, report, json.Deterministic(true)) // fails for a caller who hung up
}

// serveAdmin serves health, metrics and, if wanted, profiles until the function it
// returns is called.
func serveAdmin(
	listener net.Listener, h *health, registry *prometheus.Registry, profiles bool, log logrus.FieldLogger,
) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", h.show)
	mux.HandleFunc("GET /livez", h.live)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.Handle("GET /metrics", telemetry.Handler(registry))
	if profiles {
		mux.Handle(telemetry.ProfilesPath, telemetry.Profiles())
	}
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
