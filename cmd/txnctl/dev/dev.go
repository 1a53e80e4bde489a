// Package dev runs all of txn on one machine, for trying it out and for
// developing against it: a private PostgreSQL (and Redis, where there is one),
// the API and the dispatcher as processes of their own, a demo business with
// money, and a receiver that verifies the webhooks it gets.
//
// Nothing of it is used in production, and nothing in production is left out
// here: the same binaries run on the same schema with the same configuration
// variables.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/txn-service/txn/pkg/database"
)

// Options say what Run starts.
type Options struct {
	// Listen is the address of the API; port 0 is any free one.
	Listen string
	// DataDir keeps everything that survives a restart. It is made if missing,
	// and nobody else may look into it. As root, the database lies elsewhere if
	// PostgreSQL's user cannot reach it there.
	DataDir string
	// Reset drops what DataDir keeps before the start.
	Reset bool
	// RateLimit is the API's limit per client address; empty is off.
	RateLimit string
	// ReadyJSON prints one JSON line on Out when everything is ready, and
	// everything else on Progress.
	ReadyJSON bool
	// Operator is who the audit log names for the demo business.
	Operator string

	Out, Progress io.Writer
}

// stopTimeout bounds the end of everything together.
const stopTimeout = 90 * time.Second

// errInterrupted is how a start ends that was asked to stop.
var errInterrupted = errors.New("interrupted before everything was up")

// Run starts everything, shows that it works, and stays until ctx ends. Then it
// stops what it started, in reverse order, and returns nil. It returns an error
// when something cannot be started or stops by itself.
func Run(ctx context.Context, options Options) (err error) {
	d := &stack{Options: options, broken: make(chan error, 1)}
	defer func() {
		if ctx.Err() != nil && err != nil {
			err = errInterrupted // whatever it broke
		}
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, d.stop(stopCtx))
	}()

	// What can go wrong at once comes before what takes time.

	d.listen, err = chooseListen(options.Listen)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(options.DataDir, dataDirMode()); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	binaries, err := d.findBinaries(ctx)
	if err != nil {
		return err
	}

	// PostgreSQL, its schema, and Redis.

	if err := d.startPostgres(ctx); err != nil {
		return err
	}
	if d.state, err = loadState(options.DataDir); err != nil {
		return err
	}
	if err := d.startRedis(ctx); err != nil {
		return err
	}
	db, err := database.Open(ctx, database.Options{URL: d.databaseURL, MaxOpenConns: 2, ApplicationName: "txnctl dev"})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := d.ensureTenant(ctx, db); err != nil {
		return err
	}

	// Receiver, dispatcher, API.

	if err := d.startReceiver(ctx); err != nil {
		return err
	}
	if err := d.startServices(ctx, binaries); err != nil {
		return err
	}

	// The demo, over HTTP as any client would do it.

	if err := d.ensureDemo(ctx); err != nil {
		return err
	}
	if err := d.saveEnvironment(); err != nil {
		return err
	}
	if err := d.showReady(); err != nil {
		return err
	}
	return d.stay(ctx)
}

// dataDirMode keeps others out of the data directory. PostgreSQL does not run as
// root: then its user has to pass through, to a directory that is its own.
func dataDirMode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// stay returns when ctx ends, or with an error when a part of the stack does.
func (d *stack) stay(ctx context.Context) error {
	select {
	case <-ctx.Done():
		d.progress("Stopping …")
		return nil
	case err := <-d.broken:
		return err
	}
}
