package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/trace"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/ratelimit"
	"github.com/txn-service/txn/pkg/telemetry"
	"github.com/txn-service/txn/pkg/webhook"
)

// requestTimeout bounds the work on one request: whoever waits longer gets
// unavailable, and a database that hangs does not gather requests without end.
// Streamed answers are bounded by their writes instead.
const requestTimeout = 15 * time.Second

// Deps are what the API is made of. All are required unless said otherwise.
type Deps struct {
	DB       *database.DB
	Ledger   *ledger.Ledger
	Webhooks *webhook.Store
	Verifier *apikey.Verifier
	// PerClient limits each client address and PerKey each API key; nil is no limit.
	PerClient, PerKey *ratelimit.Limit
	// Counters is where the limits count; /health tells how it is.
	Counters *ratelimit.Store
	// AfterCommit is called after each commit that may have written events; it must
	// not block. The ledger calls its own. Optional.
	AfterCommit func()
	// Proxies are believed about the client's address; nil means none.
	Proxies middleware.Proxies
	Log     *logrus.Logger
	Metrics *telemetry.HTTP
	// Tracer makes a span of each request; nil makes none.
	Tracer trace.Tracer
}

// API is the HTTP API. It implements http.Handler.
type API struct {
	Deps
	health  *health
	waiters *waiters
	intake  *intake
	engine  *gin.Engine
}

// handler answers a request or says why not; see respond.go and package problem.
type handler func(c *gin.Context) error

func init() {
	// The debug mode prints every route to standard output.
	gin.SetMode(gin.ReleaseMode)
}

// New mounts every route.
func New(deps Deps) (*API, error) {
	if deps.DB == nil || deps.Ledger == nil || deps.Webhooks == nil || deps.Verifier == nil ||
		deps.Counters == nil || deps.Log == nil || deps.Metrics == nil {
		return nil, errors.New("httpapi: a dependency is missing")
	}
	if deps.AfterCommit == nil {
		deps.AfterCommit = func() {}
	}
	a := &API{Deps: deps, health: newHealth(deps.DB, deps.Counters, deps.Log), waiters: newWaiters(), intake: newIntake(), engine: gin.New()}
	a.engine.RedirectTrailingSlash = false
	a.engine.HandleMethodNotAllowed = true
	a.engine.Use(middleware.Observe(a.Log, a.Metrics, a.Proxies))
	if a.Tracer != nil {
		a.engine.Use(middleware.Trace(a.Tracer))
	}
	a.engine.Use(middleware.Recover(a.Log))
	if a.PerClient != nil {
		a.engine.Use(middleware.LimitClients(a.PerClient, isAPI))
	}
	a.engine.NoRoute(handle(unknownRoute))
	a.engine.NoMethod(handle(wrongMethod))
	for _, r := range a.routes() {
		a.mount(r)
	}
	return a, nil
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }

// Drain makes /readyz say no, so that no new traffic is sent here, and ends the
// waiting of requests that wait for something to happen. Requests are still
// answered.
func (a *API) Drain() {
	a.health.drain()
	a.waiters.stopWaiting()
}
