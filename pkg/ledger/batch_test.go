package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// render answers with the code of each item, comma-separated.
func render(results []ledger.ItemResult) (int, []byte, error) {
	codes := make([]string, len(results))
	for i, r := range results {
		codes[i] = "ok"
		if r.Err != nil {
			codes[i] = string(errs.CodeOf(r.Err))
		}
	}
	return 200, []byte(strings.Join(codes, ",")), nil
}

func batchOf(atomic bool, items ...ledger.Post) ledger.Batch {
	for i := range items {
		items[i].IdempotencyKey = ""
	}
	return ledger.Batch{Atomic: atomic, Items: items, IdempotencyKey: key(), Render: render}
}

func TestBatchUsesMoneyThatEarlierItemsBrought(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b, c := k.account(t, 10), k.account(t, 0), k.account(t, 0)
	batch := batchOf(true, transfer(a, b, 10), transfer(b, c, 10), debit(c, 10))
	first, err := k.ledger.PostBatch(t.Context(), k.business, batch)
	require.NoError(t, err)
	require.Equal(t, "ok,ok,ok", string(first.Body))
	again, err := k.ledger.PostBatch(t.Context(), k.business, batch)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, int64(0), k.get(t, a).Balance)
	require.Equal(t, int64(2), k.get(t, c).Version)
	batch.Atomic = false
	_, err = k.ledger.PostBatch(t.Context(), k.business, batch)
	require.True(t, errs.Is(err, errs.IdempotencyKeyReused), "%v", err)
	k.requireSound(t)
}

func TestAtomicBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	reference := "batch-ref"
	named := transfer(a, b, 10)
	named.Reference = &reference
	batch := batchOf(true, transfer(a, b, 50), named, transfer(a, b, 50), transfer(a, b, 1))
	_, err := k.ledger.PostBatch(t.Context(), k.business, batch)
	var item *ledger.ItemError
	require.ErrorAs(t, err, &item)
	require.Equal(t, 2, item.Index)
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)
	require.Equal(t, int64(100), k.get(t, a).Balance)
	require.Equal(t, 1, k.count(t, "transactions"))
	require.Zero(t, k.count(t, "idempotency_keys"), "a refusal does not burn the key")
	k.post(t, credit(a, 11))
	_, err = k.ledger.PostBatch(t.Context(), k.business, batch)
	require.NoError(t, err, "the reference and the keys are free again")
	k.requireSound(t)
}

func TestIndependentBatchAnswersPerItem(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	missing := models.NewID[models.AccountPrefix]()
	batch := batchOf(false, transfer(a, b, 60), transfer(a, b, 60), transfer(a, missing, 1), transfer(a, b, -1), transfer(b, a, 60))
	result, err := k.ledger.PostBatch(t.Context(), k.business, batch)
	require.NoError(t, err)
	require.Equal(t, "ok,insufficient_funds,not_found,validation_failed,ok", string(result.Body))
	require.Equal(t, int64(100), k.get(t, a).Balance)
	k.post(t, credit(a, 100))
	again, err := k.ledger.PostBatch(t.Context(), k.business, batch)
	require.NoError(t, err)
	require.Equal(t, string(result.Body), string(again.Body), "a finished batch is replayed verbatim")
	k.requireSound(t)
}

func TestBatchItemsWithKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 100), k.account(t, 0)
	own := transfer(a, b, 10)
	first := ledger.Batch{Atomic: true, Items: []ledger.Post{own}, IdempotencyKey: key(), Render: render}
	_, err := k.ledger.PostBatch(t.Context(), k.business, first)
	require.NoError(t, err)
	overlapping := ledger.Batch{Atomic: true, Items: []ledger.Post{own, transfer(a, b, 5)}, IdempotencyKey: key(), Render: render}
	_, err = k.ledger.PostBatch(t.Context(), k.business, overlapping)
	require.NoError(t, err)
	require.Equal(t, int64(15), k.get(t, b).Balance, "the first item was a replay")

	twice := ledger.Batch{Atomic: false, Items: []ledger.Post{own, own}, IdempotencyKey: key(), Render: render}
	_, err = k.ledger.PostBatch(t.Context(), k.business, twice)
	require.True(t, errs.Is(err, errs.ValidationFailed), "%v", err)
	for _, n := range []int{0, ledger.MaxBatchItems + 1} {
		_, err = k.ledger.PostBatch(t.Context(), k.business, batchOf(true, make([]ledger.Post, n)...))
		require.True(t, errs.Is(err, errs.ValidationFailed), "%d items: %v", n, err)
	}
	k.requireSound(t)
}

func TestConcurrentBatchesOfAThousand(t *testing.T) {
	t.Parallel()
	patience := ledger.Options{LockTimeout: 30 * time.Second} // a thousand items take a while on a busy machine
	k := newKit(t, patience)
	replicas := []*ledger.Ledger{k.ledger, startLedger(t, k.db, patience)}
	var accounts []models.AccountID
	for range 20 {
		accounts = append(accounts, k.account(t, 1_000_000))
	}
	var group errgroup.Group
	for n := range 6 {
		group.Go(func() error {
			items := make([]ledger.Post, ledger.MaxBatchItems)
			for i := range items {
				items[i] = transfer(accounts[(n+i)%20], accounts[(n+i*7+1)%20], 1)
				if items[i].Source == items[i].Destination {
					items[i] = debit(items[i].Source, 1)
				}
			}
			batch := batchOf(n%2 == 0, items...)
			for range 2 {
				result, err := replicas[n%2].PostBatch(t.Context(), k.business, batch)
				if err != nil {
					return err
				}
				if strings.Count(string(result.Body), "ok") != len(items) {
					return fmt.Errorf("batch %d: %s", n, result.Body)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, 6*ledger.MaxBatchItems+20, k.count(t, "transactions"))
	k.requireSound(t)
}

// Answers are encoded after all operations of a commit have been judged.
func TestARenderingThatFailsHarmsItsBatchAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	a, b := k.account(t, 1000), k.account(t, 0)
	for name, render := range map[string]func([]ledger.ItemResult) (int, []byte, error){
		"error": func([]ledger.ItemResult) (int, []byte, error) { return 0, nil, errors.New("broken") },
		"panic": func([]ledger.ItemResult) (int, []byte, error) { panic("broken") },
	} {
		t.Run(name, func(t *testing.T) {
			before := k.count(t, "transactions")
			var group errgroup.Group
			for range 8 {
				group.Go(func() error {
					_, err := k.ledger.Post(t.Context(), k.business, transfer(a, b, 1))
					return err
				})
			}
			items := make([]ledger.Post, 100) // enough for the rows to be sent ahead of the answer
			for i := range items {
				items[i] = transfer(a, b, 1)
			}
			_, err := k.ledger.PostBatch(t.Context(), k.business, ledger.Batch{Atomic: true, Items: items, IdempotencyKey: key(), Render: render})
			require.ErrorContains(t, err, "broken")
			require.NoError(t, group.Wait())
			require.Equal(t, before+8, k.count(t, "transactions"))
		})
	}
	k.requireSound(t)
}
