package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/txn-service/txn/pkg/build"
	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dispatch"
	"github.com/txn-service/txn/pkg/logging"
	"github.com/txn-service/txn/pkg/telemetry"
	"github.com/txn-service/txn/pkg/webhook"
)

// run sends webhooks until ctx ends, finishes what is in flight and returns.
// ready is called once with the address of the admin listener, "" when it is
// turned off; PostgreSQL may still be away then, and /readyz tells.
func run(ctx context.Context, settings config.Config, out io.Writer, ready func(admin string)) error {
	// Configuration and logging.

	if err := settings.Validate(); err != nil {
		return err
	}
	keyring, err := openKeyring(settings.Security)
	if err != nil {
		return err
	}
	proxy, err := settings.Webhooks.ProxyURL()
	if err != nil {
		return err
	}
	log, err := logging.New(out, settings.Log.Level, settings.Log.Format)
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
		URL: collector, SampleRatio: settings.OTel.SampleRatio, Service: "dispatcher", Version: build.Current().Version,
		Metrics: registry, Log: log,
	})
	if err != nil {
		return err
	}
	defer tracing.Close()

	// Database. Nothing connects here either.

	db, err := database.Open(ctx, database.Options{
		URL: settings.Database.URL, MaxOpenConns: settings.Database.MaxOpenConns, ApplicationName: "txn-dispatcher",
	})
	if err != nil {
		return err
	}
	defer db.Close()

	// Dispatcher.

	dispatcher, err := dispatch.New(db, dispatch.Options{
		ListenURL: settings.Database.Listen(), Keyring: keyring, Schedule: settings.Webhooks.RetrySchedule,
		Timeout: settings.Webhooks.Timeout, Slots: settings.Dispatcher.Slots, Grace: settings.Dispatcher.ShutdownGrace,
		AllowInsecure: settings.Webhooks.AllowInsecure, Proxy: proxy, Tracer: tracing.Tracer(),
	}, log)
	if err != nil {
		return err
	}
	registry.MustRegister(telemetry.NewPool(db.Pool.Stat), dispatcher)

	// Upkeep of the ledger: holds that run out, and the continuous audit.

	upkeep, err := newUpkeep(db, settings, registry, log)
	if err != nil {
		return err
	}

	// Admin server.

	health := newHealth(db, upkeep.redis)
	var address string
	if settings.Dispatcher.AdminListen != "" {
		listener, err := net.Listen("tcp", settings.Dispatcher.AdminListen)
		if err != nil {
			return fmt.Errorf("dispatcher.admin_listen: %w", err)
		}
		address = listener.Addr().String()
		stop := serveAdmin(listener, health, registry, settings.Dispatcher.Pprof, log)
		defer stop()
	}
	log.WithField("admin", address).Info("listening")
	ready(address)

	// Until told to stop; then what is in flight, within the grace period.

	draining := context.AfterFunc(ctx, func() {
		health.drain()
		log.WithField("grace", settings.Dispatcher.ShutdownGrace.String()).Info("stopping")
	})
	defer draining()
	waitForSchema(ctx, db, log)
	stopUpkeep := upkeep.start(ctx)
	dispatcher.Run(ctx)
	stopUpkeep()
	log.Info("stopped")
	return nil
}

func openKeyring(settings config.Security) (*webhook.Keyring, error) {
	keys, err := settings.Keys()
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, config.ErrNoEncryptionKeys
	}
	return webhook.NewKeyring(keys)
}
