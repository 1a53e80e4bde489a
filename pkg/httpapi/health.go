package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ratelimit"
)

// healthAge is how long a look at the components stands for all that ask: probes
// must not become load.
const healthAge = time.Second

// healthTimeout bounds one look.
const healthTimeout = 2 * time.Second

// How the service and its components may be.
const (
	statusOK       = "ok"
	statusDegraded = "degraded" // works, with less comfort
	statusDown     = "down"
	statusOff      = "off" // not configured
	statusDraining = "draining"
	statusOld      = "too_old"
)

// component is how one part is.
type component struct {
	Status string `json:"status"`
	// Message says what to do about it.
	Message string `json:"message,omitzero"`
}

// healthReport is the answer of /health.
type healthReport struct {
	Status     string `json:"status"`
	Components struct {
		Postgres component `json:"postgres"`
		Redis    component `json:"redis"`
		Schema   component `json:"schema"`
	} `json:"components"`
}

// health looks at the components at most once per healthAge.
type health struct {
	db       *database.DB
	counters *ratelimit.Store
	log      logrus.FieldLogger
	draining atomic.Bool

	mu       sync.Mutex // guards the rest, and is held while looking
	lookedAt time.Time
	report   healthReport
}

func newHealth(db *database.DB, counters *ratelimit.Store, log logrus.FieldLogger) *health {
	return &health{db: db, counters: counters, log: log}
}

func (h *health) drain() { h.draining.Store(true) }

// look returns a report that is at most healthAge old.
func (h *health) look() healthReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.lookedAt) < healthAge {
		return h.report
	}
	// Not the request's context: the report is for all who ask.
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	before := h.report.Status
	h.report = h.examine(ctx)
	h.lookedAt = time.Now()
	if h.report.Status != before && before != "" {
		h.log.WithField("components", h.report.Components).Warnf("health: %s, was %s", h.report.Status, before)
	}
	return h.report
}

func (h *health) examine(ctx context.Context) healthReport {
	var report healthReport
	parts := &report.Components
	var looking sync.WaitGroup
	looking.Go(func() { parts.Redis = h.examineRedis(ctx) })
	parts.Postgres, parts.Schema = h.examinePostgres(ctx)
	looking.Wait()
	switch {
	case parts.Postgres.Status != statusOK || parts.Schema.Status != statusOK:
		report.Status = statusDown
	case parts.Redis.Status == statusDown:
		report.Status = statusDegraded
	default:
		report.Status = statusOK
	}
	return report
}

func (h *health) examineRedis(ctx context.Context) component {
	switch {
	case !h.counters.Configured():
		return component{Status: statusOff}
	case h.counters.Ping(ctx) != nil:
		return component{Status: statusDown, Message: "rate limits are counted by each process for itself"}
	default:
		return component{Status: statusOK}
	}
}

func (h *health) examinePostgres(ctx context.Context) (postgres, schema component) {
	err := h.db.CheckSchema(ctx)
	switch {
	case err == nil:
		return component{Status: statusOK}, component{Status: statusOK}
	case errors.Is(err, database.ErrSchemaTooOld):
		return component{Status: statusOK}, component{Status: statusOld, Message: err.Error()}
	case errs.As(err) == nil:
		h.log.WithError(err).Warn("health: checking the schema")
	}
	return component{Status: statusDown}, component{Status: statusDown}
}

// showHealth answers GET /health: each component, 503 when the service cannot
// work. Redis is not needed to work.
func (a *API) showHealth(c *gin.Context) error {
	report := a.health.look()
	return respond(c, statusFor(report.Status != statusDown), report)
}

// showLiveness answers GET /livez: the process serves requests.
func (a *API) showLiveness(c *gin.Context) error {
	return respond(c, http.StatusOK, component{Status: statusOK})
}

// showReadiness answers GET /readyz: whether traffic should be sent here.
func (a *API) showReadiness(c *gin.Context) error {
	if a.health.draining.Load() {
		return respond(c, http.StatusServiceUnavailable, component{Status: statusDraining})
	}
	report := a.health.look()
	return respond(c, statusFor(report.Status != statusDown), component{Status: report.Status, Message: report.trouble()})
}

// trouble says in a line what is wrong, the worst first; empty when nothing is.
func (r *healthReport) trouble() string {
	parts := &r.Components
	switch {
	case parts.Postgres.Status != statusOK:
		return "postgres does not answer"
	case parts.Schema.Status != statusOK:
		return parts.Schema.Message
	case parts.Redis.Status == statusDown:
		return "redis does not answer: " + parts.Redis.Message
	default:
		return ""
	}
}

func statusFor(working bool) int {
	if working {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}
