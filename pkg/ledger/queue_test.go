package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func waitingOn(business models.BusinessID, items int, accounts ...models.AccountID) *pending {
	return &pending{business: business, items: items, accounts: accounts, since: time.Now(), done: make(chan struct{})}
}

func account1() models.AccountID { return models.NewID[models.AccountPrefix]() }

func tenants(n int) []models.BusinessID {
	list := make([]models.BusinessID, n)
	for i := range list {
		list[i] = models.NewID[models.BusinessPrefix]()
	}
	return list
}

// nextOf is the next batch of a lane where nothing is ahead.
func nextOf(q *queue, kind lane, most int) []*pending {
	batch, _ := q.next(kind, most)
	return batch
}

// served counts the operations of each business in a batch.
func served(batch []*pending) map[models.BusinessID]int {
	counts := map[models.BusinessID]int{}
	for _, p := range batch {
		counts[p.business]++
	}
	return counts
}

func TestQueueSharesABatchBetweenBusinesses(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	b := tenants(3)
	for range 50 {
		require.NoError(t, q.push(waitingOn(b[0], 1, account1())))
	}
	for range 2 {
		require.NoError(t, q.push(waitingOn(b[1], 1, account1())))
	}
	require.NoError(t, q.push(waitingOn(b[2], 1, account1())))
	batch := nextOf(q, shared, 12)
	require.Len(t, batch, 12)
	require.Equal(t, map[models.BusinessID]int{b[0]: 9, b[1]: 2, b[2]: 1}, served(batch))
}

func TestQueueServesEveryBusinessInTurn(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	b := tenants(8)
	for _, business := range b {
		for range 3 {
			require.NoError(t, q.push(waitingOn(business, 1, account1())))
		}
	}
	first, second := served(nextOf(q, shared, 4)), served(nextOf(q, shared, 4))
	for business := range first {
		require.NotContains(t, second, business)
	}
	require.Len(t, first, 4)
	require.Len(t, second, 4)
}

func TestQueueKeepsAnAccountInOneBatchAtATime(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	b := tenants(1)[0]
	hot, other := account1(), account1()
	for range 3 {
		require.NoError(t, q.push(waitingOn(b, 1, hot)))
	}
	batch := nextOf(q, shared, 2)
	require.Len(t, batch, 2, "operations on one account share a batch")
	require.NoError(t, q.push(waitingOn(b, 1, hot, other)))
	require.NoError(t, q.push(waitingOn(b, 1, account1())))
	second := nextOf(q, shared, 10)
	require.Len(t, second, 1, "only what does not touch the hot account")
	q.release(shared, batch)
	q.release(shared, second)
	third := nextOf(q, shared, 10)
	require.Len(t, third, 2)
	require.Equal(t, []models.AccountID{hot}, third[0].accounts)
	require.Zero(t, q.items)
	require.Empty(t, q.tenants)
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue(8)
	b := tenants(2)
	for range 8 {
		require.NoError(t, q.push(waitingOn(b[0], 1, account1())), "alone, a business may have it all")
	}
	require.Equal(t, errs.Unavailable, errs.CodeOf(q.push(waitingOn(b[0], 1, account1()))))
	require.Equal(t, errs.Unavailable, errs.CodeOf(q.push(waitingOn(b[1], 1, account1()))))

	q = newQueue(8)
	require.NoError(t, q.push(waitingOn(b[1], 1, account1())))
	require.NoError(t, q.push(waitingOn(b[0], 2, account1())))
	err := q.push(waitingOn(b[0], 1, account1()))
	require.Equal(t, errs.Unavailable, errs.CodeOf(err), "a quarter, while another waits")
	require.Positive(t, errs.As(err).RetryAfter)
	require.NoError(t, q.push(waitingOn(b[1], 1, account1())))
}

func TestQueueTakesAnOperationLargerThanABatchAlone(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	b := tenants(2)
	require.NoError(t, q.push(waitingOn(b[0], 1, account1())))
	require.NoError(t, q.push(waitingOn(b[1], 100, account1())))
	first := nextOf(q, shared, 10)
	require.Len(t, first, 1)
	require.Equal(t, 1, first[0].items)
	require.Equal(t, 100, nextOf(q, shared, 10)[0].items)
}

func TestQueueForgetsWhatItsCallerGaveUp(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	b := tenants(1)[0]
	given, kept := waitingOn(b, 1, account1()), waitingOn(b, 1, account1())
	require.NoError(t, q.push(given))
	require.NoError(t, q.push(kept))
	require.True(t, given.state.CompareAndSwap(waiting, abandoned))
	require.Equal(t, []*pending{kept}, nextOf(q, shared, 10), "even before it is dropped")
	q.drop(given)
	require.Zero(t, q.items)
}

func TestQueueServesOnePatientBatchOfABusiness(t *testing.T) {
	t.Parallel()
	q := newQueue(100)
	b := tenants(2)
	locked := account1()
	first := waitingOn(b[0], 1, locked)
	require.NoError(t, q.push(first))
	for range sharedTries {
		batch := nextOf(q, shared, 10)
		require.Equal(t, []*pending{first}, batch)
		q.postpone(batch)
		q.release(shared, batch)
	}
	patientBatch := nextOf(q, patient, 10)
	require.Equal(t, []*pending{first}, patientBatch)

	follower := waitingOn(b[0], 1, locked)
	healthy := waitingOn(b[1], 1, account1())
	require.NoError(t, q.push(follower))
	require.NoError(t, q.push(healthy))
	require.Equal(t, []*pending{healthy}, nextOf(q, shared, 10), "the follower joins the patient lane")
	require.Equal(t, patient, follower.lane)
	q.mu.Lock()
	require.Nil(t, q.takePatient(10), "one patient batch of a business at a time")
	q.mu.Unlock()
	q.release(patient, patientBatch)
	require.Equal(t, []*pending{follower}, nextOf(q, patient, 10))
}

func TestQueueServesWhatMissedALockFirst(t *testing.T) {
	t.Parallel()
	q := newQueue(100)
	b := tenants(1)[0]
	var missed []*pending
	for range 2 {
		missed = append(missed, waitingOn(b, 1, account1()))
		require.NoError(t, q.push(missed[len(missed)-1]))
	}
	batch := nextOf(q, shared, 10)
	later := waitingOn(b, 1, account1())
	require.NoError(t, q.push(later))
	q.postpone(batch)
	q.release(shared, batch)
	require.Equal(t, missed, nextOf(q, shared, 2), "in their order, ahead of what came later")
	q.release(shared, missed)
	require.Equal(t, []*pending{later}, nextOf(q, shared, 10))
}

func TestQueueServesSuspectsApart(t *testing.T) {
	t.Parallel()
	q := newQueue(100)
	b := tenants(2)
	q.suspect(b[0])
	troubled, healthy := waitingOn(b[0], 1, account1()), waitingOn(b[1], 1, account1())
	require.NoError(t, q.push(troubled))
	require.NoError(t, q.push(healthy))
	require.Equal(t, []*pending{healthy}, nextOf(q, shared, 10))
	require.Equal(t, []*pending{troubled}, nextOf(q, patient, 10))
}

func TestQueueRunsASecondBatchOnlyWhenItPays(t *testing.T) {
	t.Parallel()
	const most = 8
	q := newQueue(100)
	b := tenants(1)[0]
	push := func(n int) {
		for range n {
			require.NoError(t, q.push(waitingOn(b, 1, account1())))
		}
	}
	push(1)
	first := nextOf(q, shared, most)
	push(most/2 - 1)
	q.mu.Lock()
	require.False(t, q.mayRun(most), "less than half a batch waits")
	q.mu.Unlock()
	push(1)
	q.mu.Lock()
	require.True(t, q.mayRun(most))
	q.mu.Unlock()
	second := nextOf(q, shared, most)
	require.Len(t, second, most/2)

	push(1)
	q.mu.Lock()
	began := q.started
	q.mu.Unlock()
	third := nextOf(q, shared, most)
	require.Len(t, third, 1)
	require.GreaterOrEqual(t, time.Since(began), overlapAfter, "it waited until the others took long")
	for _, batch := range [][]*pending{first, second, third} {
		q.release(shared, batch)
	}
	require.Zero(t, q.running)
	push(1)
	require.Len(t, nextOf(q, shared, most), 1, "nothing is under way: at once")
}

// An operation larger than its business's share, beside a neighbour who always
// has something waiting.
func TestQueueServesLargeOperationsBesideABusyNeighbour(t *testing.T) {
	t.Parallel()
	q := newQueue(1 << 20)
	b := tenants(2)
	require.NoError(t, q.push(waitingOn(b[0], 1, account1())))
	large := waitingOn(b[1], 300, account1())
	require.NoError(t, q.push(large))
	for range 4 {
		for range 60 {
			require.NoError(t, q.push(waitingOn(b[0], 1, account1())))
			require.NoError(t, q.push(waitingOn(b[1], 1, account1())))
		}
		batch := nextOf(q, shared, 64)
		if slices.Contains(batch, large) {
			return
		}
		q.release(shared, batch)
	}
	t.Fatal("never served")
}

// An operation on two hot accounts, each of which is in one of two batches that
// overlap.
func TestQueueLetsNobodyOvertakeOnAnAccount(t *testing.T) {
	t.Parallel()
	q := newQueue(4096)
	b := tenants(1)[0]
	x, y := account1(), account1()
	take := func() []*pending {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.take(shared, 10, nil)
	}
	require.NoError(t, q.push(waitingOn(b, 1, x)))
	one := take()
	require.NoError(t, q.push(waitingOn(b, 1, y)))
	two := take()
	both, later, other := waitingOn(b, 1, x, y), waitingOn(b, 1, x), waitingOn(b, 1, account1())
	for _, p := range []*pending{both, later, other} {
		require.NoError(t, q.push(p))
	}
	q.release(shared, one)
	require.Equal(t, []*pending{other}, take(), "x is free, but later came after both")
	q.release(shared, two)
	require.Equal(t, []*pending{both, later}, take())
}
