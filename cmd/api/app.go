package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/build"
	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/expiry"
	"github.com/txn-service/txn/pkg/httpapi"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/logging"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/ratelimit"
	"github.com/txn-service/txn/pkg/telemetry"
	"github.com/txn-service/txn/pkg/webhook"
)

// run serves the API until ctx ends, finishes what is in flight and returns.
// ready is called once, when both listeners are open; PostgreSQL and Redis may
// still be away then, and /readyz tells.
func run(ctx context.Context, settings config.Config, out io.Writer, ready func(addresses)) error {
	// Configuration and logging.

	if err := settings.Validate(); err != nil {
		return err
	}
	log, err := logging.New(out, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return err
	}
	proxies, err := middleware.ParseProxies(settings.API.TrustedProxies)
	if err != nil {
		return err
	}
	log.WithField("version", build.Current().Version).Info("starting")
	log.Debugf("configuration:\n%s", settings)

	// Telemetry. Nothing connects yet.

	registry := telemetry.NewRegistry()
	collector, err := settings.OTel.TracesURL()
	if err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingOptions{
		URL: collector, SampleRatio: settings.OTel.SampleRatio, Service: "api", Version: build.Current().Version,
		Metrics: registry, Log: log,
	})
	if err != nil {
		return err
	}
	defer tracing.Close()

	// Database. Nothing connects here either.

	db, err := database.Open(ctx, database.Options{
		URL: settings.Database.URL, MaxOpenConns: settings.Database.MaxOpenConns, ApplicationName: "txn-api",
	})
	if err != nil {
		return err
	}
	defer db.Close()
	registry.MustRegister(telemetry.NewPool(db.Pool.Stat))

	// Rate limits. Nor here.

	client, err := openRedis(settings.Redis.URL)
	if err != nil {
		return err
	}
	if client != nil {
		defer func() { _ = client.Close() }() // there is nothing to save
	}
	counters := ratelimit.NewStore(client, registry, log)
	perClient, err := ratelimit.New("ip", settings.RateLimit.PerIP, counters)
	if err != nil {
		return fmt.Errorf("rate_limit.per_ip: %w", err)
	}
	perKey, err := ratelimit.New("key", settings.RateLimit.PerKey, counters)
	if err != nil {
		return fmt.Errorf("rate_limit.per_key: %w", err)
	}

	// Packages.

	webhooks, err := openWebhooks(settings)
	if err != nil {
		return err
	}
	verifier := apikey.NewVerifier(db)
	listeners, err := listen(ctx, settings.API)
	if err != nil {
		return err
	}
	defer listeners.close()
	notifier := outbox.NewNotifier(db)
	options := ledger.Options{
		Committers: settings.Ledger.Committers, MaxBatch: settings.Ledger.MaxBatch, Queue: settings.Ledger.Queue,
		AfterCommit: notifier.Wake, Observer: telemetry.NewLedger(registry), Tracer: tracing.Tracer(),
	}
	var timers *expiry.Timers
	if client != nil {
		timers = expiry.NewTimers(client, log)
		options.HoldCreated = timers.Plant
	}
	book := ledger.New(db, options, log)

	// Servers.

	api, err := httpapi.New(httpapi.Deps{
		DB: db, Ledger: book, Webhooks: webhooks, Verifier: verifier,
		PerClient: perClient, PerKey: perKey, Counters: counters, Proxies: proxies, AfterCommit: notifier.Wake,
		Log: log, Metrics: telemetry.NewHTTP(registry), Tracer: tracing.Tracer(),
	})
	if err != nil {
		return err
	}
	var servers group
	servers.serve(httpapi.NewServer(api, log), listeners.api)
	if listeners.admin != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", telemetry.Handler(registry))
		if settings.API.Pprof {
			mux.Handle(telemetry.ProfilesPath, telemetry.Profiles())
		}
		servers.serve(httpapi.NewServer(mux, log), listeners.admin)
	}
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	var reporting sync.WaitGroup
	reporting.Go(func() { verifier.Run(background) })
	reporting.Go(func() { notifier.Run(background) })
	if timers != nil {
		reporting.Go(func() { timers.Run(background) })
	}
	where := listeners.addresses()
	log.WithFields(logrus.Fields{"api": where.api, "admin": where.admin}).Info("listening")
	ready(where)

	failure := servers.wait(ctx)

	// Shutdown: send new traffic away, finish requests, then what they queued, then
	// what only reports.

	log.WithFields(logrus.Fields{
		"delay": settings.API.ShutdownDelay.String(), "grace": settings.API.ShutdownGrace.String(),
	}).Info("stopping")
	api.Drain()
	if failure == nil {
		failure = servers.sendAway(settings.API.ShutdownDelay)
	}
	grace, cancel := context.WithTimeout(context.Background(), settings.API.ShutdownGrace)
	defer cancel()
	servers.stop(grace, settings.API.ShutdownGrace*3/4, log)
	if err := book.Close(grace); err != nil {
		failure = errors.Join(failure, fmt.Errorf("the ledger did not finish in time: %w", err))
	}
	stopBackground()
	reporting.Wait()
	log.Info("stopped")
	return failure
}

// openRedis prepares the client, nil when there is no Redis.
func openRedis(url string) (*redis.Client, error) {
	if url == "" {
		return nil, nil
	}
	return ratelimit.NewClient(url)
}

func openWebhooks(settings config.Config) (*webhook.Store, error) {
	keys, err := settings.Security.Keys()
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, config.ErrNoEncryptionKeys
	}
	keyring, err := webhook.NewKeyring(keys)
	if err != nil {
		return nil, err
	}
	return webhook.NewStore(webhook.Options{
		Keyring: keyring, AllowInsecure: settings.Webhooks.AllowInsecure, MaxPerBusiness: settings.Webhooks.MaxPerBusiness,
	}), nil
}
