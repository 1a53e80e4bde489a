package ledger_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// tally adds up what ledgers commit.
type tally struct{ commits, items, missed, kept, void atomic.Int64 }

func (o *tally) Committed(items int, _, _ time.Duration) {
	o.commits.Add(1)
	o.items.Add(int64(items))
}

func (o *tally) LockMissed(operations int) { o.missed.Add(int64(operations)) }

func (o *tally) Followed(kept bool) {
	if kept {
		o.kept.Add(1)
	} else {
		o.void.Add(1)
	}
}

// BenchmarkContention moves money between 1,000 accounts of one business: one by
// one and in batches of 100, through one ledger and through two on one database,
// as two API processes have them. An iteration is a movement.
func BenchmarkContention(b *testing.B) {
	for _, size := range []int{1, 100} {
		for _, ledgers := range []int{1, 2} {
			b.Run("batch="+strconv.Itoa(size)+"/ledgers="+strconv.Itoa(ledgers), func(b *testing.B) {
				benchmarkContention(b, size, ledgers)
			})
		}
	}
}

func benchmarkContention(b *testing.B, size, ledgers int) {
	b.Helper()
	const accounts = 1000
	callers := 64 / ledgers
	if size > 1 {
		callers = 8 / ledgers
	}
	url, done := dbtest.New(b).URL, &tally{}
	k := &kit{}
	var on []*ledger.Ledger
	for range ledgers {
		db, err := database.Open(b.Context(), database.Options{URL: url})
		require.NoError(b, err)
		b.Cleanup(db.Close)
		k.db, k.ledger = db, startLedger(b, db, ledger.Options{Observer: done})
		on = append(on, k.ledger)
	}
	k.business = k.newBusiness(b)
	ids := make([]models.AccountID, accounts)
	for i := range ids {
		ids[i] = k.open(b, k.business, ledger.NewAccount{Name: "Account", Currency: "USD"}).ID
	}
	transfer := func() ledger.Post {
		from := rand.IntN(accounts)
		to := (from + 1 + rand.IntN(accounts-1)) % accounts
		return ledger.Post{Type: models.Transfer, Source: ids[from], Destination: ids[to], Amount: 1}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for _, l := range on {
		for range callers {
			wg.Go(func() {
				for left.Add(-int64(size)) > -int64(size) {
					if err := move(b.Context(), l, k.business, size, transfer); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(done.items.Load())/float64(done.commits.Load()), "items/commit")
	b.ReportMetric(100*float64(done.missed.Load())/float64(done.items.Load()), "%missed")
	b.ReportMetric(100*float64(done.kept.Load())/float64(done.commits.Load()), "%followed")
	b.ReportMetric(float64(done.void.Load()), "void")
}

func move(ctx context.Context, l *ledger.Ledger, business models.BusinessID, size int, transfer func() ledger.Post) error {
	if size == 1 {
		post := transfer()
		post.IdempotencyKey = key()
		_, err := l.Post(ctx, business, post)
		return err
	}
	batch := ledger.Batch{Atomic: true, IdempotencyKey: key(), Items: make([]ledger.Post, size)}
	batch.Render = func(results []ledger.ItemResult) (int, []byte, error) {
		var body []byte
		for _, r := range results {
			body = append(body, r.Body...)
		}
		return 201, body, nil
	}
	for i := range batch.Items {
		batch.Items[i] = transfer()
	}
	_, err := l.PostBatch(ctx, business, batch)
	return err
}
