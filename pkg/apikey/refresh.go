package apikey

import (
	"context"
	"sync"
	"time"
)

const (
	// refreshPace is how long keys that are due gather for a query: a process that
	// serves a thousand tenants asks ten times a second, not two thousand.
	// refreshAfter, the pace and the query stay well below trust.
	refreshPace = 100 * time.Millisecond
	// refreshBatch bounds the keys of one query.
	refreshBatch = 1000
)

// refresher reads keys in use again before their verdicts run out, so that
// requests do not wait for the database once a second.
type refresher struct {
	mu   sync.Mutex
	due  []hash
	wake chan struct{}
}

func newRefresher() *refresher { return &refresher{wake: make(chan struct{}, 1)} }

// add has a key read again soon.
func (r *refresher) add(sum hash) {
	r.mu.Lock()
	r.due = append(r.due, sum)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns up to refreshBatch keys that are due.
func (r *refresher) take() []hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.due), refreshBatch)
	batch := r.due[:n:n]
	r.due = r.due[n:]
	return batch
}

// run refreshes what is due until ctx ends.
func (r *refresher) run(ctx context.Context, refresh func(context.Context, []hash)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		for batch := r.take(); len(batch) > 0; batch = r.take() {
			refresh(ctx, batch)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(refreshPace):
		}
	}
}

// refresh asks for many keys at once. Nobody waits for it: a failure is found
// out when the trust in the old verdicts ends.
func (v *Verifier) refresh(ctx context.Context, sums []hash) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	found, err := v.query(ctx, sums)
	if err != nil {
		return
	}
	for i, sum := range sums {
		v.keep(sum, found[i])
	}
}
