package outbox

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/txn-service/txn/pkg/database"
)

// Notifications are coalesced: at most one per notifyInterval and process, and one
// per busyInterval after an interval with busyCommits commits or more. Each makes
// the dispatchers look, fan out, fetch and complete; where many events come anyway,
// fewer and larger rounds leave the commits their cores.
const (
	notifyInterval = 10 * time.Millisecond
	busyInterval   = 50 * time.Millisecond
	busyCommits    = 6
	notifyTimeout  = 2 * time.Second
)

// Notifier tells dispatchers that events have been committed. Committers never
// notify inside their transactions: NOTIFY takes a lock on the whole database at
// commit, which would serialise all of them.
type Notifier struct {
	db   *database.DB
	wake chan struct{}
	// commits counts the calls of Wake since the last notification.
	commits atomic.Int64
}

// NewNotifier returns a notifier; Run makes it work.
func NewNotifier(db *database.DB) *Notifier {
	return &Notifier{db: db, wake: make(chan struct{}, 1)}
}

// Wake says that events have been committed. It never blocks and is safe for
// concurrent use.
func (n *Notifier) Wake() {
	n.commits.Add(1)
	select {
	case n.wake <- struct{}{}:
	default: // one is on its way already
	}
}

// Run sends notifications until ctx ends. One that fails is dropped: dispatchers
// poll as well.
func (n *Notifier) Run(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		interval := notifyInterval
		if n.commits.Swap(0) >= busyCommits {
			interval = busyInterval
		}
		n.notify(ctx)
		pause.Reset(interval)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

func (n *Notifier) notify(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	_, _ = n.db.Pool.Exec(ctx, `SELECT pg_notify($1, '')`, outboxChannel)
}

// NotifyLanes tells other dispatchers about lanes with new work: those that hold
// them by name, all of them when lanes are due and nobody holds them.
func (d *Dispatcher) NotifyLanes(ctx context.Context, foreign []string, due bool) error {
	if due {
		foreign = append(foreign, laneDue)
	}
	_, err := d.pool.Exec(ctx, `SELECT pg_notify($1, payload) FROM unnest($2::text[]) payload`, laneChannel, foreign)
	return database.Coded(err)
}
