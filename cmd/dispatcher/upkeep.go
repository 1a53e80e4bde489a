package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/expiry"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/ratelimit"
	"github.com/txn-service/txn/pkg/retention"
	"github.com/txn-service/txn/pkg/telemetry"
)

const (
	// sweepInterval is how long a hold may be overdue without Redis.
	sweepInterval = 5 * time.Second
	// auditRest is kept between two audits of the whole ledger.
	auditRest = 10 * time.Minute
	// endInterval is how long what is left of a deleted endpoint's backlog waits.
	endInterval = time.Second
	// purgeRest is kept between two passes over what is too old.
	purgeRest = 10 * time.Minute
	// upkeepGrace bounds the end of what upkeep has under way.
	upkeepGrace = 5 * time.Second
)

// upkeep is what the dispatcher does beside sending: overdue holds expire, the
// books are audited, the backlogs of endpoints that are gone end, what is too old
// is deleted, and endpoints and keys are counted.
type upkeep struct {
	db     *database.DB
	redis  *redis.Client // nil when there is none
	audit  *telemetry.Audit
	log    logrus.FieldLogger
	purge  *retention.Sweeper
	census *census
}

func newUpkeep(db *database.DB, settings config.Config, registry prometheus.Registerer, log logrus.FieldLogger) (*upkeep, error) {
	u := &upkeep{db: db, audit: telemetry.NewAudit(registry), log: log}
	u.census = &census{db: db, metrics: telemetry.NewCensus(registry), log: log}
	u.purge = &retention.Sweeper{
		DB: db, Webhooks: settings.Webhooks.Retention, Rest: purgeRest, Log: log, Deleted: telemetry.NewRetention(registry, retention.Kinds()...).Deleted,
	}
	if settings.Redis.URL == "" {
		return u, nil
	}
	var err error
	u.redis, err = ratelimit.NewClient(settings.Redis.URL)
	return u, err
}

// start begins the upkeep; the function that it returns ends it.
func (u *upkeep) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	// One committer: upkeep is no load, and the API's committers come first.
	book := ledger.New(u.db, ledger.Options{Committers: 1}, u.log)
	var running sync.WaitGroup
	running.Go(func() { (&expiry.Sweeper{Ledger: book, Interval: sweepInterval, Log: u.log}).Run(ctx) })
	running.Go(func() {
		(&ledger.Auditor{DB: u.db, Rest: auditRest, Log: u.log, Passed: u.audit.Passed}).Run(ctx)
	})
	running.Go(func() {
		failed := func(err error) {
			u.log.WithError(err).Warn("ending the deliveries of a closed endpoint failed, trying again")
		}
		(&outbox.Ender{DB: u.db, Interval: endInterval, Failed: failed}).Run(ctx)
	})
	running.Go(func() { u.purge.Run(ctx) })
	running.Go(func() { u.census.run(ctx) })
	if u.redis != nil {
		running.Go(func() { (&expiry.Listener{Client: u.redis, Ledger: book, Log: u.log}).Run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
		grace, done := context.WithTimeout(context.Background(), upkeepGrace)
		defer done()
		if err := book.Close(grace); err != nil {
			u.log.WithError(err).Warn("the upkeep of the ledger did not finish in time")
		}
		if u.redis != nil {
			_ = u.redis.Close() // there is nothing to save
		}
	}
}
