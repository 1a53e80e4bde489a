package ledger

import (
	"context"
	"time"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
)

// conflictRetries bounds how often a batch that lost a deadlock, or whose key
// was taken by another replica in the same moment, is run again as it is.
const conflictRetries = 4

// How long a committer keeps trying over a broken connection: briefly when
// nothing was written, because the caller is told that and may retry himself;
// longer to learn the outcome of a COMMIT that was cut off.
const (
	reconnecting = time.Second
	recovering   = 5 * time.Second
)

// committer takes batches from one lane of the queue and commits them.
type committer struct {
	ledger *Ledger
	lane   lane
	// trace is that of the batch under way, nil when nothing in it is sampled.
	trace *commitTrace
}

func (c *committer) run(ctx context.Context) {
	for {
		batch, ahead := c.ledger.queue.next(c.lane, c.ledger.options.MaxBatch)
		if batch == nil {
			return
		}
		started := time.Now()
		c.trace = c.ledger.traceCommit(c.lane, batch, started)
		c.commit(ctx, batch, ahead)
		c.trace.end()
		c.ledger.queue.release(c.lane, batch)
		c.ledger.observe(batch, started)
	}
}

func (l *Ledger) observe(batch []*pending, started time.Time) {
	items := 0
	oldest := started
	for _, p := range batch {
		items += p.items
		if p.since.Before(oldest) {
			oldest = p.since
		}
	}
	l.options.Observer.Committed(items, started.Sub(oldest), time.Since(started))
}

// commit answers every operation of the batch or postpones it.
func (c *committer) commit(ctx context.Context, batch []*pending, ahead *flight) {
	if c.lane == patient {
		c.commitPatiently(ctx, batch)
		return
	}
	missed := c.attempt(ctx, batch, skipLocked, ahead)
	if len(missed) > 0 {
		c.ledger.options.Observer.LockMissed(len(missed))
		c.ledger.queue.postpone(missed)
	}
}

// commitPatiently waits for row locks. When the wait times out, the operations
// whose rows are free go through and the others end as Unavailable.
func (c *committer) commitPatiently(ctx context.Context, batch []*pending) {
	for _, p := range c.attempt(ctx, batch, waitForLocks, nil) {
		p.finish(Result{}, unavailable(nil, "the account is locked by another operation, try again"))
	}
}

// attempt runs the batch until every operation is answered, and returns those
// that met a locked row. It follows the flight ahead, if any, with the first run
// alone.
func (c *committer) attempt(ctx context.Context, batch []*pending, mode lockMode, ahead *flight) []*pending {
	started := time.Now()
	patience := reconnecting
	uncertain := false
	for try := 0; ; try++ {
		c.trace.run(batch)
		outcomes, err := c.ledger.runBatch(ctx, batch, mode, ahead)
		if ahead != nil {
			c.ledger.options.Observer.Followed(err == nil)
		}
		if err == nil {
			return deliver(outcomes)
		}
		followed := ahead
		ahead = nil
		switch {
		case err.commitSent && database.IsLost(err):
			// Whether it committed is unknown. Waiting for the locks waits out a
			// backend that is still at it; then the keys tell.
			uncertain, mode, patience = true, waitForLocks, recovering
			fallthrough
		case database.IsLost(err):
			if ctx.Err() != nil || time.Since(started) > patience {
				c.fail(batch, err, uncertain)
				return nil
			}
			c.ledger.log.WithError(err).WithField("uncertain", uncertain).Warn("the database connection broke; running the batch again")
			pause(ctx, 50*time.Millisecond<<min(try, 4))
		case followed != nil:
			if database.SQLState(err) == database.StateSerializationFailure {
				c.ledger.queue.stray()
			}
			_ = followed.wait(ctx) // however it ends, its accounts are free then
		case isLockTimeout(err) && mode == waitForLocks && !uncertain:
			mode = skipLocked
		case isRace(err) && try < conflictRetries:
			pause(ctx, database.Backoff(try))
		case len(batch) > 1 && !uncertain:
			return c.split(ctx, batch, mode)
		default:
			c.ledger.queue.suspect(batch[0].business)
			c.fail(batch, err, uncertain)
			return nil
		}
	}
}

// split runs the halves of a batch that a statement error broke, so that only
// the operation at fault fails.
func (c *committer) split(ctx context.Context, batch []*pending, mode lockMode) []*pending {
	middle := len(batch) / 2
	missed := c.attempt(ctx, batch[:middle], mode, nil)
	return append(missed, c.attempt(ctx, batch[middle:], mode, nil)...)
}

// fail answers the whole batch with the error.
func (c *committer) fail(batch []*pending, err error, uncertain bool) {
	coded := database.Coded(err)
	if uncertain {
		coded = unavailable(err, "the connection to the database broke during the commit and its outcome is unknown; "+
			"repeat the request with the same idempotency key")
	}
	for _, p := range batch {
		p.finish(Result{}, coded)
	}
}

// retryAfter is what a caller is told to wait when the ledger could not serve
// him: a queue drains and a lock is freed in less.
const retryAfter = time.Second

func unavailable(cause error, detail string) error {
	coded := errs.Wrap(cause, errs.Unavailable, "%s", detail)
	coded.RetryAfter = retryAfter
	return coded
}

// isRace reports an error that running the same batch again can cure: a lost
// deadlock, or a key or reference that another replica has just committed and
// that the look-up will now find.
func isRace(err error) bool {
	return database.IsConflict(err) || database.SQLState(err) == database.StateUniqueViolation
}

func isLockTimeout(err error) bool { return database.SQLState(err) == database.StateLockNotAvailable }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// deliver answers the operations of a committed batch and returns those that
// were left out because a row was locked.
func deliver(outcomes []outcome) (missed []*pending) {
	for _, o := range outcomes {
		if o.missed {
			missed = append(missed, o.operation)
			continue
		}
		o.operation.finish(o.reply.result(), o.err)
	}
	return missed
}
