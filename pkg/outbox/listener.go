package outbox

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/txn-service/txn/pkg/database"
)

// A listener that has heard nothing for probeInterval asks itself whether it
// would: behind a transaction pooler or a dead connection LISTEN is silent.
const (
	probeInterval  = 30 * time.Second
	probeTimeout   = 2 * time.Second
	connectTimeout = 3 * time.Second
	maxReconnect   = 5 * time.Second
	probePayload   = "probe:"
)

// ListenerName is what pg_stat_activity shows for the connection of a listener: one
// per dispatcher, beside those of its pool.
const ListenerName = "txn-dispatcher-listen"

var errDeaf = errors.New("LISTEN hears nothing: set database.listen_url to a direct connection")

// News is what a notification says.
type News int

// What a dispatcher hears.
const (
	// NewsEvents: events have been committed.
	NewsEvents News = iota + 1
	// NewsLanesDue: lanes wait that nobody holds.
	NewsLanesDue
	// NewsMyLanes: lanes that this dispatcher holds have new work.
	NewsMyLanes
	// NewsChanged: an endpoint was changed.
	NewsChanged
)

// Listener hears notifications on a connection of its own, which it opens again
// whenever it breaks.
type Listener struct {
	url        string
	dispatcher *Dispatcher
	hear       func(News)
	healthy    atomic.Bool
	lastError  atomic.Pointer[string]
}

// NewListener returns a listener for one dispatcher; hear is called from Run's
// goroutine and must not block.
func NewListener(url string, dispatcher *Dispatcher, hear func(News)) *Listener {
	return &Listener{url: url, dispatcher: dispatcher, hear: hear}
}

// Healthy reports whether notifications arrive; without them a dispatcher must
// poll more often.
func (l *Listener) Healthy() bool { return l.healthy.Load() }

// Run listens until ctx ends.
func (l *Listener) Run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := l.listen(ctx, func() { attempt = 0 })
		l.healthy.Store(false)
		if err != nil {
			text := err.Error()
			l.lastError.Store(&text)
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(maxReconnect, 100*time.Millisecond<<min(attempt, 6))):
		}
	}
}

// listen returns when the connection breaks or turns out to be deaf.
func (l *Listener) listen(ctx context.Context, connected func()) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+outboxChannel+"; LISTEN "+laneChannel); err != nil {
		return err
	}
	if err := l.probe(ctx, conn); err != nil {
		return err
	}
	connected()
	// What was said while nobody listened.
	l.hear(NewsEvents)
	l.hear(NewsMyLanes)
	for {
		err := l.wait(ctx, conn, probeInterval)
		if pgconn.Timeout(err) && ctx.Err() == nil {
			err = l.probe(ctx, conn)
		}
		if err != nil {
			return err
		}
	}
}

func (l *Listener) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(l.url)
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["application_name"] = ListenerName
	// One statement is all that a session says: nothing to prepare.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, config)
}

// wait hears one notification.
func (l *Listener) wait(ctx context.Context, conn *pgx.Conn, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	notification, err := conn.WaitForNotification(ctx)
	if err != nil {
		return err
	}
	l.dispatch(notification)
	return nil
}

func (l *Listener) dispatch(n *pgconn.Notification) {
	owner := l.dispatcher.Owner()
	switch {
	case n.Payload == probePayload+owner:
		l.healthy.Store(true)
	case strings.HasPrefix(n.Payload, probePayload):
	case n.Channel == outboxChannel:
		l.hear(NewsEvents)
	case n.Payload == owner:
		l.hear(NewsMyLanes)
	case n.Payload == laneDue:
		l.hear(NewsLanesDue)
	case n.Payload == laneChanged:
		l.hear(NewsChanged)
	}
}

// probe sends a notification through the pool and waits until it arrives here.
func (l *Listener) probe(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	l.healthy.Store(false)
	_, err := l.dispatcher.pool.Exec(ctx, `SELECT pg_notify($1, $2)`, laneChannel, probePayload+l.dispatcher.Owner())
	if err != nil {
		return database.Coded(err)
	}
	for !l.healthy.Load() {
		if err := l.wait(ctx, conn, probeTimeout); err != nil {
			if pgconn.Timeout(err) {
				return errDeaf
			}
			return err
		}
	}
	return nil
}

// LastError is why the connection last ended, "" while it never has.
func (l *Listener) LastError() string {
	if text := l.lastError.Load(); text != nil {
		return *text
	}
	return ""
}
