package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// Bounds of requests that wait for something to happen, per process: they hold no
// connection while they wait, but a goroutine and a caller's patience.
const (
	maxWaiters            = 64
	maxWaitersPerBusiness = 8
)

// A waiting request looks again after firstLook, and half as long again each time
// up to slowestLook: some twenty looks in ten seconds, and an answer that comes
// within milliseconds is seen at once.
const (
	firstLook   = 10 * time.Millisecond
	slowestLook = 500 * time.Millisecond
)

// waiters are the requests that wait at present.
type waiters struct {
	mu          sync.Mutex
	all         int
	ofBusiness  map[models.BusinessID]int
	stopped     chan struct{}
	stopWaiting func()
}

func newWaiters() *waiters {
	w := &waiters{ofBusiness: make(map[models.BusinessID]int), stopped: make(chan struct{})}
	w.stopWaiting = sync.OnceFunc(func() { close(w.stopped) })
	return w
}

// enter takes a place, false when there is none.
func (w *waiters) enter(business models.BusinessID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= maxWaiters || w.ofBusiness[business] >= maxWaitersPerBusiness {
		return false
	}
	w.all++
	w.ofBusiness[business]++
	return true
}

func (w *waiters) leave(business models.BusinessID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.ofBusiness[business]--; w.ofBusiness[business] == 0 {
		delete(w.ofBusiness, business)
	}
}

// until looks until there is nothing more to wait for, patience is over, ctx ends
// or the server drains. It does not wait at all while too many others do. The error
// is that of the last look.
func (w *waiters) until(ctx context.Context, business models.BusinessID, patience time.Duration, look func() (over bool, err error)) error {
	if !w.enter(business) {
		return nil
	}
	defer w.leave(business)
	end := time.NewTimer(patience)
	defer end.Stop()
	for pause := firstLook; ; pause = min(pause*3/2, slowestLook) {
		if over, err := look(); over || err != nil {
			return err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
			continue
		case <-end.C:
		case <-ctx.Done():
		case <-w.stopped:
		}
		again.Stop()
		return nil
	}
}
