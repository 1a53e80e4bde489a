package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// lockMode says what a batch does about rows that somebody else has locked.
type lockMode int

const (
	skipLocked lockMode = iota
	waitForLocks
)

// batchTimeout bounds one run of a batch on the client's side, for a server that
// stopped answering; statement_timeout ends everything else earlier.
const batchTimeout = 20 * time.Second

// settings of every ledger transaction. Durability does not depend on the
// server's default. A process that freezes with locks held loses them. The
// planner is pinned to index look-ups: the statements are prepared once, and a
// plan made while a table was empty would scan it for ever.
const settingsSQL = `SELECT set_config('synchronous_commit', 'on', true), set_config('lock_timeout', $1, true),
    set_config('statement_timeout', '10s', true), set_config('idle_in_transaction_session_timeout', '10s', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)`

// outcome is what a batch decided about one operation.
type outcome struct {
	operation *pending
	reply     reply
	err       error
	missed    bool
}

// batchError is why a batch was not committed, as far as we know.
type batchError struct {
	cause error
	// commitSent says that COMMIT was on the wire: if the connection broke, the
	// outcome is unknown.
	commitSent bool
}

func (e *batchError) Error() string { return e.cause.Error() }

func (e *batchError) Unwrap() error { return e.cause }

// runBatch runs the operations in one transaction of two round trips: lock and
// read, then write and commit. More come between them only when a key is known or
// an account has money on hold. The outcomes stand only when the error is nil.
// Behind a batch ahead, accounts of that one are locked at the end.
func (l *Ledger) runBatch(ctx context.Context, batch []*pending, mode lockMode, ahead *flight) (_ []outcome, failed *batchError) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	conn, err := l.db.Pool.Acquire(ctx)
	if err != nil {
		return nil, &batchError{cause: fmt.Errorf("acquiring a connection: %w", err)}
	}
	defer conn.Release()

	b, err := l.open(ctx, conn, batch, mode, ahead)
	if err != nil {
		rollback(ctx, conn)
		return nil, &batchError{cause: err}
	}
	outcomes := judge(b, batch, mode)
	if mode == skipLocked {
		f := l.queue.lead(b)
		defer func() { l.queue.land(f, failed == nil) }()
	}
	if sent, err := b.commit(ctx, conn, outcomes, ahead); err != nil {
		rollback(ctx, conn)
		return nil, &batchError{cause: err, commitSent: sent && b.writes()}
	}
	if !b.writes() {
		return outcomes, nil
	}
	l.movements.Add(int64(len(b.transactions)))
	l.options.AfterCommit()
	for _, h := range b.newHolds {
		if h.ExpiresAt != nil && h.Status == models.HoldPending {
			l.options.HoldCreated(h.Hold)
		}
	}
	return outcomes, nil
}

// open begins the transaction, locks the accounts and reads what the batch
// judges against, in one round trip.
func (l *Ledger) open(ctx context.Context, conn *pgxpool.Conn, batch []*pending, mode lockMode, ahead *flight) (*book, error) {
	var n needs
	for _, p := range batch {
		p.op.needs(&n)
	}
	b := newBook(len(batch))
	if ahead != nil {
		if ahead.knows(&n) {
			return nil, errTwin
		}
		n.accounts = b.assume(ahead, n.accounts)
	}
	reads := &pgx.Batch{}
	reads.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	if l.plansAreDue(conn.Conn().PgConn()) {
		reads.Queue("DISCARD PLANS")
	}
	reads.Queue(settingsSQL, strconv.FormatInt(l.options.LockTimeout.Milliseconds(), 10))
	b.queueLocks(reads, n.accounts, mode)
	b.queueClock(reads)
	b.queueKnown(reads, n.keys)
	b.queueReferences(reads, n.references)
	b.queueHolds(reads, n.holds)
	b.queueHoldNames(reads, n.holdNames)
	b.queueReversals(reads, n.reversals)
	b.queueAnswers(reads, n.answers)
	if err := conn.SendBatch(ctx, reads).Close(); err != nil {
		return nil, fmt.Errorf("locking a batch: %w", err)
	}
	if err := b.loadReplays(ctx, conn); err != nil {
		return nil, err
	}
	return b, b.expireOverdue(ctx, conn)
}

// judge applies the operations in order.
func judge(b *book, batch []*pending, mode lockMode) []outcome {
	outcomes := make([]outcome, len(batch))
	for i, p := range batch {
		o := outcome{operation: p}
		if mode == skipLocked && !b.lockedFor(p) {
			o.missed = true
		} else {
			b.trace = p.trace.kept()
			o.reply, o.err = applySafely(b, p.op)
		}
		outcomes[i] = o
	}
	return outcomes
}

// applySafely turns a panic into an internal error of the operation alone: one
// request must not stop the commits of everybody else.
func applySafely(b *book, op operation) (answer reply, err error) {
	before := b.mark()
	defer func() {
		if cause := recover(); cause != nil {
			b.rollback(before)
			answer, err = reply{}, fmt.Errorf("panic while judging an operation: %v\n%s", cause, debug.Stack())
		}
	}()
	return op.apply(b)
}

// lockedFor reports whether all accounts of the operation were locked. One that was
// not is locked by somebody else or does not exist; only waiting for the lock
// tells.
func (b *book) lockedFor(p *pending) bool {
	for _, id := range p.accounts {
		if b.accounts[accountKey{p.business, id}] == nil {
			return false
		}
	}
	return true
}

var errNotCommitted = errors.New("COMMIT was answered by a rollback")

// streamFrom is how many movements make it worth a system call to hand the rows
// over before the JSON is made.
const streamFrom = 64

// commit writes the book and commits it, in one round trip. After a failed
// statement PostgreSQL skips the rest of the pipeline, COMMIT included. sent says
// that COMMIT may have reached PostgreSQL.
func (b *book) commit(ctx context.Context, conn *pgxpool.Conn, outcomes []outcome, ahead *flight) (sent bool, err error) {
	p := database.NewPipeline(ctx, conn.Conn(), writeStatements...)
	if b.writes() {
		b.writeRows(p)
	}
	if len(b.transactions) >= streamFrom {
		p.Send(ctx)
	}
	events, err := b.encode(outcomes)
	if err != nil {
		p.Abort(ctx)
		return false, err
	}
	b.writeAnswers(p)
	outbox.WriteEvents(p, events)
	if len(b.assumed) > 0 {
		p.Send(ctx)
		if err := ahead.wait(ctx); err != nil {
			p.Abort(ctx)
			return false, err
		}
		b.lockAssumed(p)
	}
	if b.writes() {
		b.writeAccounts(p)
	}
	outbox.Enqueue(p, events)
	p.Exec(commitSQL)
	tag, err := p.End(ctx)
	if err != nil {
		return true, fmt.Errorf("committing a batch: %w", err)
	}
	if tag.String() != commitSQL {
		return true, errNotCommitted
	}
	return true, nil
}

// rollback frees the locks. A connection that cannot even do that is destroyed
// by the pool when it is released.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		return
	}
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = conn.Conn().Close(ctx)
	}
}
