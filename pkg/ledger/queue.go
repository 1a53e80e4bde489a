package ledger

import (
	"slices"
	"sync"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// lane is one of the two ways through the queue.
type lane int

const (
	// shared batches mix businesses and never wait for a row lock.
	shared lane = iota
	// patient batches are of one business and wait for row locks.
	patient
)

// suspicion is how long a business is served apart after one of its operations
// broke a shared batch: long enough that its neighbours meet it rarely, short
// enough that a passing fault does not cost it group commit for long.
const suspicion = time.Minute

// sharedTries is how often an operation that meets a locked row is tried in shared
// batches before it waits for the row in a patient one. Whoever holds it is nearly
// always another replica that is about to commit: the next batch finds the row
// free, while a batch of its own would cost both replicas a commit more, and hold
// rows that make the others' operations miss.
const sharedTries = 3

// overlapFrom is how many waiting items make another shared batch worth its fixed
// cost beside the one under way, and overlapAfter how long that one runs before
// fewer do, for the sake of latency alone.
const (
	overlapFrom  = 64
	overlapAfter = 10 * time.Millisecond
)

// queue holds the operations that wait, per business and lane. Batches are
// drained round-robin between businesses; an account is in one batch at a time, and
// at most in one that follows that one, so that committers of one process never meet
// at a row lock.
type queue struct {
	mu    sync.Mutex
	ready [2]*sync.Cond
	// tenants that have something waiting, per lane, in round-robin order.
	ring     [2][]*tenantQueue
	tenants  map[models.BusinessID]*tenantQueue
	suspects map[models.BusinessID]time.Time
	busy     map[accountKey]work
	items    int
	capacity int
	closed   bool
	// running counts the shared batches under way, the newest of them since started.
	running int
	started time.Time
	// ahead is the newest of them once others can know what it leaves behind, and
	// followFrom the first moment at which they may care.
	ahead      *flight
	followFrom time.Time
}

// work is what is being done on an account: in which lane, by how many batches.
type work struct {
	lane    lane
	batches int
}

// tenantQueue is what one business has waiting.
type tenantQueue struct {
	business models.BusinessID
	waiting  [2][]*pending
	items    int
	// patient is set while a patient batch of the business is running: a tenant
	// occupies one patient committer at most.
	patient bool
}

func newQueue(capacity int) *queue {
	q := &queue{
		tenants:  make(map[models.BusinessID]*tenantQueue),
		suspects: make(map[models.BusinessID]time.Time),
		busy:     make(map[accountKey]work),
		capacity: capacity,
	}
	q.ready[shared], q.ready[patient] = sync.NewCond(&q.mu), sync.NewCond(&q.mu)
	return q
}

// push queues an operation. It returns Unavailable when the queue is full, when
// the business has a quarter of it while others wait, and when it is closed.
func (q *queue) push(p *pending) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return unavailable(nil, "the service is stopping, try again")
	}
	t := q.tenants[p.business]
	mine := 0
	if t != nil {
		mine = t.items
	}
	others := q.items > mine
	if q.items > 0 && q.items+p.items > q.capacity || others && mine+p.items > max(q.capacity/4, 1) {
		return unavailable(nil, "too many movements are waiting, try again")
	}
	if t == nil {
		t = &tenantQueue{business: p.business}
		q.tenants[p.business] = t
	}
	p.lane = shared
	if until, suspect := q.suspects[p.business]; suspect {
		if time.Now().Before(until) {
			p.lane = patient
		} else {
			delete(q.suspects, p.business)
		}
	}
	t.items += p.items
	q.items += p.items
	q.enqueue(t, p)
	return nil
}

// enqueue makes the operation wait in its lane. The caller holds mu.
func (q *queue) enqueue(t *tenantQueue, p *pending) {
	if len(t.waiting[p.lane]) == 0 {
		q.ring[p.lane] = append(q.ring[p.lane], t)
	}
	t.waiting[p.lane] = append(t.waiting[p.lane], p)
	q.ready[p.lane].Signal()
}

// drop removes an abandoned operation.
func (q *queue) drop(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tenants[p.business]
	if t == nil {
		return
	}
	if i := slices.Index(t.waiting[p.lane], p); i >= 0 {
		t.waiting[p.lane] = slices.Delete(t.waiting[p.lane], i, i+1)
		if len(t.waiting[p.lane]) == 0 {
			q.ring[p.lane] = slices.DeleteFunc(q.ring[p.lane], func(other *tenantQueue) bool { return other == t })
		}
		q.forget(t, p)
	}
}

// forget takes an operation that no longer waits out of the counts. The caller
// holds mu.
func (q *queue) forget(t *tenantQueue, p *pending) {
	t.items -= p.items
	q.items -= p.items
	q.retire(t)
}

// retire forgets a business that has nothing waiting or running apart. The
// caller holds mu.
func (q *queue) retire(t *tenantQueue) {
	if t.items == 0 && !t.patient {
		delete(q.tenants, t.business)
	}
}

// postpone takes claimed operations that met a locked row back: for the next shared
// batch, ahead of what came later, and after some tries to the patient lane.
func (q *queue) postpone(operations []*pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range slices.Backward(operations) {
		t := q.tenants[p.business]
		if t == nil {
			t = &tenantQueue{business: p.business}
			q.tenants[p.business] = t
		}
		p.misses++
		if p.misses >= sharedTries {
			p.lane = patient
		}
		p.state.Store(waiting)
		t.items += p.items
		q.items += p.items
		q.enqueue(t, p)
		list := t.waiting[p.lane]
		copy(list[1:], list)
		list[0] = p
	}
}

// suspect has the business served apart for a while.
func (q *queue) suspect(business models.BusinessID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.suspects[business] = time.Now().Add(suspicion)
}

// release ends a batch: its accounts may be worked on again.
func (q *queue) release(kind lane, batch []*pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range batch {
		for _, id := range p.accounts {
			key := accountKey{p.business, id}
			if w := q.busy[key]; w.batches > 1 {
				q.busy[key] = work{w.lane, w.batches - 1}
			} else {
				delete(q.busy, key)
			}
		}
	}
	if kind == shared {
		q.running--
	} else if t := q.tenants[batch[0].business]; t != nil {
		t.patient = false
		q.retire(t)
	}
	q.ready[shared].Broadcast()
	q.ready[patient].Broadcast()
}

// close refuses further pushes; next returns nil once nothing waits.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ready[shared].Broadcast()
	q.ready[patient].Broadcast()
}

// next blocks until the lane has a batch of about most items and returns it with
// its accounts marked busy, and the flight that it follows, if it does; nil when the
// queue is closed and drained.
func (q *queue) next(kind lane, most int) ([]*pending, *flight) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if kind == patient || q.mayRun(most) {
			ahead := q.followable(kind, most)
			if batch := q.take(kind, most, ahead); len(batch) > 0 {
				return batch, ahead
			}
		}
		// Work in progress may still hand operations to the patient lane.
		if q.closed && q.items == 0 && len(q.busy) == 0 {
			return nil, nil
		}
		q.ready[kind].Wait()
	}
}

// mayRun says whether another shared batch may begin: when none is under way,
// when enough waits, or when the one under way takes long. Otherwise it sees to
// being asked again. The caller holds mu.
func (q *queue) mayRun(most int) bool {
	if q.running == 0 || q.enough(most) {
		return true
	}
	left := overlapAfter - time.Since(q.started)
	if left > 0 && q.items > 0 {
		time.AfterFunc(left, q.ready[shared].Broadcast)
	}
	return left <= 0
}

func (q *queue) enough(most int) bool { return q.items >= min((most+1)/2, overlapFrom) }

// take gathers a batch and marks its accounts busy. The caller holds mu.
func (q *queue) take(kind lane, most int, ahead *flight) []*pending {
	var batch []*pending
	if kind == shared {
		batch = q.takeShared(most, ahead)
	} else {
		batch = q.takePatient(most)
	}
	for _, p := range batch {
		for _, id := range p.accounts {
			key := accountKey{p.business, id}
			q.busy[key] = work{kind, q.busy[key].batches + 1}
		}
	}
	if kind == shared && len(batch) > 0 {
		q.running++
		q.started = time.Now()
	}
	return batch
}

// takeShared serves every business an equal share first, then whatever fits.
func (q *queue) takeShared(most int, ahead *flight) []*pending {
	ring := q.ring[shared]
	if len(ring) == 0 {
		return nil
	}
	var batch []*pending
	served := make(map[*tenantQueue]bool)
	room := most
	for _, share := range [...]int{max(most/len(ring), 1), most} {
		for _, t := range ring {
			if room <= 0 {
				break
			}
			taken := q.drain(t, shared, ahead, min(share, room), len(batch) == 0)
			for _, p := range taken {
				room -= p.items
			}
			served[t] = served[t] || len(taken) > 0
			batch = append(batch, taken...)
		}
	}
	q.rotate(shared, func(t *tenantQueue) bool { return served[t] })
	return batch
}

// takePatient serves the first business that has no patient batch running.
func (q *queue) takePatient(most int) []*pending {
	var batch []*pending
	var served *tenantQueue
	for _, t := range q.ring[patient] {
		if t.patient {
			continue
		}
		if batch = q.drain(t, patient, nil, most, true); len(batch) > 0 {
			served = t
			t.patient = true
			q.tenants[t.business] = t
			break
		}
	}
	q.rotate(patient, func(t *tenantQueue) bool { return t == served })
	return batch
}

// drain takes operations of one business whose accounts are free, or carried by the
// flight ahead, up to budget items; when force is set, the first even if it is larger. Operations on an
// account that a patient batch waits for join that lane. One whose accounts are
// busy is not overtaken on any of them: on two hot accounts in two batches that
// overlap it would wait for ever. The caller holds mu.
func (q *queue) drain(t *tenantQueue, kind lane, ahead *flight, budget int, force bool) []*pending {
	var taken, moved []*pending
	var behind map[models.AccountID]struct{} // accounts that a passed-over operation waits for
	list := t.waiting[kind]
	kept := list[:0]
	for i, p := range list {
		if budget <= 0 {
			kept = append(kept, list[i:]...)
			break
		}
		holder, busy := q.holder(p, ahead)
		switch {
		case busy && holder == patient && kind == shared:
			moved = append(moved, p)
		case busy || touches(behind, p):
			kept = append(kept, p)
			if behind == nil {
				behind = make(map[models.AccountID]struct{})
			}
			for _, id := range p.accounts {
				behind[id] = struct{}{}
			}
		case p.items > budget && !(force && len(taken) == 0):
			kept = append(kept, p)
		case p.claim():
			taken = append(taken, p)
			budget -= p.items
			q.forget(t, p)
		default:
			q.forget(t, p)
		}
	}
	clear(list[len(kept):])
	t.waiting[kind] = kept
	for _, p := range moved {
		p.lane = patient
		q.enqueue(t, p)
	}
	return taken
}

func touches(accounts map[models.AccountID]struct{}, p *pending) bool {
	for _, id := range p.accounts {
		if _, found := accounts[id]; found {
			return true
		}
	}
	return false
}

// holder reports whether an account of the operation is being worked on and not
// carried by the flight ahead, and in which lane: patient if any of them is.
func (q *queue) holder(p *pending, ahead *flight) (lane, bool) {
	busy := false
	for _, id := range p.accounts {
		key := accountKey{p.business, id}
		w, working := q.busy[key]
		if working && w.lane == patient {
			return patient, true
		}
		busy = busy || working && (ahead == nil || !ahead.carries(p, key))
	}
	return shared, busy
}

// rotate moves the businesses that were served to the end of the ring, the one
// that was first to the very end, and drops those that have nothing left waiting.
// So everybody with something waiting is first now and then, which is when an
// operation larger than its share is served. The caller holds mu.
func (q *queue) rotate(kind lane, served func(*tenantQueue) bool) {
	var first, last []*tenantQueue
	for _, t := range q.ring[kind] {
		switch {
		case len(t.waiting[kind]) == 0:
		case served(t):
			last = append(last, t)
		default:
			first = append(first, t)
		}
	}
	if len(last) > 1 {
		last = append(last[1:], last[0])
	}
	q.ring[kind] = append(first, last...)
}
