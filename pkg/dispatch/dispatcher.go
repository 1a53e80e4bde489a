package dispatch

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/trace"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// Defaults of Options.
const (
	defaultSlots   = 512
	defaultTimeout = 15 * time.Second
	defaultGrace   = 20 * time.Second
)

// Options configure a Dispatcher.
type Options struct {
	// ListenURL is the database URL of the LISTEN connection. Required.
	ListenURL string
	// Keyring opens the signing secrets. Required.
	Keyring *webhook.Keyring
	// Schedule is the waits between attempts; empty means one attempt.
	Schedule webhook.Schedule
	// Timeout bounds one attempt, the answer's body included. Defaults to 15 s.
	Timeout time.Duration
	// Slots caps requests in flight. Defaults to 512.
	Slots int
	// Grace is how long Run finishes what is in flight once told to stop.
	// Defaults to 20 s.
	Grace time.Duration
	// AllowInsecure permits private addresses: development and tests only.
	AllowInsecure bool
	// Proxy is the HTTP proxy to send through; nil means none. The environment's
	// is never used.
	Proxy *url.URL
	// RootCAs verify the endpoints; nil means the system's.
	RootCAs *x509.CertPool
	// Tracer makes a span of each attempt to deliver an event that was made in a
	// sampled one; nil makes none.
	Tracer trace.Tracer
}

// Dispatcher sends webhooks. It is a prometheus.Collector of its own metrics.
type Dispatcher struct {
	options   Options
	db        *database.DB
	store     *outbox.Dispatcher
	listener  *outbox.Listener
	scheduler *scheduler
	client    *client
	metrics   *metrics
	clock     clock
	log       *logrus.Entry

	// events, parts, claim, changed and replays wake the loops; completions leads to the
	// writer.
	events, claim, changed, replays chan struct{}

	parts       [outbox.Parts]chan struct{}
	completions chan completion
	troubled    troubleLog
	background  sync.WaitGroup // endpoints being disabled
}

// New returns a dispatcher on the database; Run makes it work.
func New(db *database.DB, options Options, log *logrus.Logger) (*Dispatcher, error) {
	if options.Keyring == nil {
		return nil, errors.New("dispatch: a keyring is required")
	}
	options.Slots = cmp.Or(options.Slots, defaultSlots)
	options.Timeout = cmp.Or(options.Timeout, defaultTimeout)
	options.Grace = cmp.Or(options.Grace, defaultGrace)
	through, err := newProxy(options.Proxy)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{
		options: options, db: db, store: outbox.NewDispatcher(db), scheduler: newScheduler(options.Slots),
		client:  newClient(newGuard(options.AllowInsecure, through), options.Timeout, options.RootCAs),
		metrics: newMetrics(),
		events:  make(chan struct{}, 1), claim: make(chan struct{}, 1), changed: make(chan struct{}, 1), replays: make(chan struct{}, 1),
		completions: make(chan completion, completionQueue),
	}
	for part := range d.parts {
		d.parts[part] = make(chan struct{}, 1)
	}
	d.log = log.WithField("dispatcher", d.store.Owner())
	d.listener = outbox.NewListener(options.ListenURL, d.store, d.hear)
	return d, nil
}

// hear turns notifications into work for the loops.
func (d *Dispatcher) hear(news outbox.News) {
	switch news {
	case outbox.NewsEvents:
		signal(d.events)
	case outbox.NewsLanesDue:
		signal(d.claim)
	case outbox.NewsMyLanes:
		d.scheduler.poke()
	case outbox.NewsChanged:
		signal(d.changed)
		signal(d.claim)
		signal(d.events) // a disabled endpoint is an event for the others
	}
}

// Run sends until ctx ends, then finishes what is in flight within the grace
// period and gives its lanes back. An outage of the database stops nothing but
// the work; Run goes on when it is back.
func (d *Dispatcher) Run(ctx context.Context) {
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	d.readClock(ctx)
	var loops, slots, writer sync.WaitGroup
	for _, loop := range []func(context.Context){d.listener.Run, d.look, d.lease, d.fetch, d.replay, d.keepTime} {
		loops.Go(func() { loop(ctx) })
	}
	for part := range int16(outbox.Parts) {
		loops.Go(func() { d.fanOut(ctx, part) })
	}
	leases, stopLeases := context.WithCancel(hard)
	defer stopLeases()
	var keeper sync.WaitGroup
	keeper.Go(func() { d.keep(leases) })
	for range d.options.Slots {
		slots.Go(func() { d.work(hard) })
	}
	writer.Go(func() { d.complete(hard) })

	<-ctx.Done()
	deadline := time.AfterFunc(d.options.Grace, cut)
	defer deadline.Stop()
	d.scheduler.stop()
	loops.Wait()
	slots.Wait()
	close(d.completions)
	writer.Wait()
	stopLeases()
	keeper.Wait()
	d.background.Wait()
	d.giveAllBack(hard)
	if err := d.store.Leave(hard); err != nil {
		d.trouble(hard, "presence", err) // the others forget it when a lease has passed
	}
	d.client.close()
}

// giveAllBack releases what is still held at the end; what cannot be released
// becomes due when its lease ends.
func (d *Dispatcher) giveAllBack(ctx context.Context) {
	for range 3 {
		d.beat(ctx)
		if !d.giveBack(ctx) && d.scheduler.usage().lanes == 0 {
			return
		}
	}
}

// troubleLog keeps an outage from writing a line per failed statement.
type troubleLog struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const troubleInterval = 5 * time.Second

// trouble counts a failed step and logs it, each step at most every five seconds.
func (d *Dispatcher) trouble(ctx context.Context, step string, err error) {
	if ctx.Err() != nil {
		return
	}
	d.metrics.troubles.WithLabelValues(step).Inc()
	d.troubled.mu.Lock()
	defer d.troubled.mu.Unlock()
	if d.troubled.last == nil {
		d.troubled.last = make(map[string]time.Time)
	}
	if now := time.Now(); now.Sub(d.troubled.last[step]) >= troubleInterval {
		d.troubled.last[step] = now
		d.log.WithError(err).WithField("step", step).Warn("dispatcher step failed, trying again")
	}
}
