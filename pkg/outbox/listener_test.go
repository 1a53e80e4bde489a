package outbox

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// listen runs a listener until the test ends and returns what it hears.
func (k *kit) listen(url string) (*Listener, func(News) bool) {
	k.t.Helper()
	var mu sync.Mutex
	heard := map[News]bool{}
	l := NewListener(url, k.Dispatcher, func(news News) {
		mu.Lock()
		defer mu.Unlock()
		heard[news] = true
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	k.t.Cleanup(func() { cancel(); <-ended })
	return l, func(news News) bool {
		mu.Lock()
		defer mu.Unlock()
		was := heard[news]
		delete(heard, news)
		return was
	}
}

func (k *kit) soon(condition func() bool) {
	k.t.Helper()
	require.Eventually(k.t, condition, 10*time.Second, 2*time.Millisecond)
}

func TestListenerHears(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	l, heard := k.listen(k.db.Pool.Config().ConnString())
	k.soon(l.Healthy)
	k.soon(func() bool { return heard(NewsEvents) && heard(NewsMyLanes) }) // what was missed before

	notifier := NewNotifier(k.db)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go notifier.Run(ctx)
	for range 1000 {
		notifier.Wake()
	}
	k.soon(func() bool { return heard(NewsEvents) })
	require.NoError(t, k.NotifyLanes(t.Context(), []string{k.Owner()}, true))
	k.soon(func() bool { return heard(NewsMyLanes) })
	k.soon(func() bool { return heard(NewsLanesDue) })
	require.NoError(t, Pause(k.db.Gorm, k.business(), models.NewID[models.WebhookPrefix]()))
	k.soon(func() bool { return heard(NewsChanged) })
	require.NoError(t, k.NotifyLanes(t.Context(), []string{NewDispatcher(k.db).Owner()}, false))
	notifier.Wake()
	k.soon(func() bool { return heard(NewsEvents) })
	require.False(t, heard(NewsMyLanes), "another dispatcher's lanes")
}

func TestListenerReconnects(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	l, heard := k.listen(k.db.Pool.Config().ConnString())
	k.soon(l.Healthy)
	k.soon(func() bool { return heard(NewsEvents) })
	k.soon(func() bool {
		return k.count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = '`+ListenerName+`'`) > 0
	})
	k.soon(func() bool { return heard(NewsEvents) }) // what was said while nobody listened
	k.soon(l.Healthy)
	require.NotEmpty(t, l.LastError())
}

func TestListenerWithoutAServerIsUnhealthy(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	l, _ := k.listen("postgres://127.0.0.1:1/nothing")
	k.soon(func() bool { return l.LastError() != "" })
	require.False(t, l.Healthy())
}

func TestNotifierCoalesces(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	notifier := NewNotifier(k.db)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	before := k.count(`SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`)
	go func() { defer close(done); notifier.Run(ctx) }()
	for start := time.Now(); time.Since(start) < 500*time.Millisecond; {
		notifier.Wake()
	}
	cancel()
	<-done
	require.Eventually(t, func() bool { // statistics come late
		return k.count(`SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`) > before
	}, 10*time.Second, 50*time.Millisecond)
	require.Less(t, k.count(`SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`)-before, 200)
}
