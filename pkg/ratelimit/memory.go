package ratelimit

import (
	"context"
	"sync"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
)

// maxWindows bounds how many windows one generation of the memory store opens,
// about 10 MB of counters.
const maxWindows = 50_000

// windows is a memory store of bounded size. ulule's keeps a counter for each
// key until its window ends, which for a limit per day and a caller with many
// addresses is without bound; when too many windows have been opened, windows
// starts over with an empty store. That grants whoever is counted then a second
// allowance, and spares a goroutine that walks the counters.
type windows struct {
	mu     sync.Mutex
	store  limiter.Store
	opened int
	most   int
}

func newWindows(most int) *windows { return &windows{store: newMemoryStore(), most: most} }

// newMemoryStore returns a store without ulule's cleaner.
func newMemoryStore() limiter.Store {
	return memory.NewStoreWithOptions(limiter.StoreOptions{CleanUpInterval: 0})
}

// take counts in memory; the memory store never returns an error.
func (w *windows) take(ctx context.Context, key string, rate limiter.Rate) limiter.Context {
	state, _ := w.current().Get(ctx, key, rate)
	if state.Remaining == rate.Limit-1 {
		w.countOpened()
	}
	return state
}

func (w *windows) current() limiter.Store {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.store
}

func (w *windows) countOpened() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened++; w.opened > w.most {
		w.store, w.opened = newMemoryStore(), 0
	}
}
