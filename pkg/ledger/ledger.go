package ledger

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/trace"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// Options tune a Ledger. The zero value means the defaults.
type Options struct {
	// Committers is how many shared batches this process commits at once.
	// Defaults to 2: one is judged in memory while PostgreSQL works on the other.
	Committers int
	// MaxBatch caps the items of one commit. Defaults to 512.
	MaxBatch int
	// Queue caps the items that wait. Defaults to 4096.
	Queue int
	// LockTimeout is how long the patient lane waits for a row lock that somebody
	// outside this process holds, before its operations end as Unavailable.
	// Defaults to 2s.
	LockTimeout time.Duration
	// AfterCommit is called after each commit that wrote events; it must not block.
	AfterCommit func()
	// HoldCreated is called after the commit of a hold that expires; it must not
	// block.
	HoldCreated func(models.Hold)
	// Observer is told about every batch; nil for none.
	Observer Observer
	// Tracer makes a span of each operation whose caller is in a sampled one, and of
	// each commit of such an operation; nil makes none.
	Tracer trace.Tracer
}

// Observer receives the measurements of the engine. Its methods must not block.
type Observer interface {
	// Committed reports one commit: its items, how long its oldest operation
	// waited in the queue, and how long the database took.
	Committed(items int, queued, took time.Duration)
	// LockMissed reports operations that met a row locked by somebody else.
	LockMissed(operations int)
	// Followed reports a batch that was judged on what another was about to leave
	// behind: kept says that it was committed so, and not run again.
	Followed(kept bool)
}

func (o Options) withDefaults() Options {
	setDefault(&o.Committers, 2)
	setDefault(&o.MaxBatch, 512)
	setDefault(&o.Queue, 4096)
	setDefault(&o.LockTimeout, 2*time.Second)
	if o.AfterCommit == nil {
		o.AfterCommit = func() {}
	}
	if o.HoldCreated == nil {
		o.HoldCreated = func(models.Hold) {}
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	return o
}

func setDefault[T ~int | ~int64](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

type silent struct{}

func (silent) Committed(int, time.Duration, time.Duration) {}
func (silent) LockMissed(int)                              {}
func (silent) Followed(bool)                               {}

// patientBatches caps how many batches wait for foreign row locks at once.
// Each is of one business, so that a tenant with locked rows occupies one.
const patientBatches = 4

// Ledger moves money. Any number of processes may run one on the same database:
// they meet only at row locks.
type Ledger struct {
	db      *database.DB
	options Options
	log     logrus.FieldLogger
	queue   *queue
	// movements counts those that this process has committed.
	movements atomic.Int64
	// cancel ends work in the database that outlives the grace of Close.
	cancel     context.CancelFunc
	committers sync.WaitGroup
}

// New starts the committers. Close must be called.
func New(db *database.DB, options Options, log logrus.FieldLogger) *Ledger {
	options = options.withDefaults()
	// Committers work on a context of their own: a caller that goes away must not
	// break a commit that it shares with others.
	ctx, cancel := context.WithCancel(context.Background())
	l := &Ledger{db: db, options: options, log: log, queue: newQueue(options.Queue), cancel: cancel}
	for range options.Committers {
		l.start(ctx, shared)
	}
	for range patientBatches {
		l.start(ctx, patient)
	}
	return l
}

func (l *Ledger) start(ctx context.Context, kind lane) {
	c := &committer{ledger: l, lane: kind}
	l.committers.Go(func() { c.run(ctx) })
}

// Close refuses new operations, finishes those in the queue and stops. When ctx
// ends first, it breaks off: operations that were not answered then may or may
// not have happened, as after a crash, and their idempotency keys tell.
func (l *Ledger) Close(ctx context.Context) error {
	l.queue.close()
	finished := make(chan struct{})
	go func() {
		l.committers.Wait()
		close(finished)
	}()
	defer l.cancel()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		l.cancel()
		<-finished
		return ctx.Err()
	}
}
