package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// A step replays what is to become due within replayAhead, at most replayBatch
// deliveries, and begins no earlier than that long before the first of them is
// due: a replay that is cancelled, or whose endpoint is disabled, has hardly
// anything under way, and live deliveries are not queued behind all of it.
const (
	replayAhead = 500 * time.Millisecond
	replayBatch = 1000
	// replayScan bounds what a step looks at to find them, and scanPause how much
	// of the database a replay takes that finds little.
	replayScan = 2000
	scanPause  = 20 * time.Millisecond
	// replayRetry is how long a replay waits that cannot go on: the business is
	// suspended, or a step failed.
	replayRetry = 5 * time.Second
	// congestedPause is how long an endpoint is left alone that cannot keep up.
	congestedPause = 500 * time.Millisecond
)

// replaySettingsSQL holds for the transaction of one step. It commits
// synchronously, since what it replays may be forgotten elsewhere as done; a
// dispatcher that is frozen in the middle lets go of its locks. The planner
// settings are those of the lanes, for the same reasons.
const replaySettingsSQL = `SELECT set_config('synchronous_commit', 'on', true), set_config('jit', 'off', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true), set_config('lock_timeout', '2s', true),
    set_config('statement_timeout', '10s', true), set_config('idle_in_transaction_session_timeout', '5s', true)`

// nextReplaySQL takes the replay that has waited longest. The row lock is the
// lease: it ends with the transaction, whatever becomes of the dispatcher.
const nextReplaySQL = `SELECT r.business_id, r.id, r.webhook_id IS NOT NULL, r.failed_only, r.rate, r.event_types, r.until,
    greatest(r.paced_until, now()), now(), b.status = 'suspended'
FROM webhook_replays r JOIN businesses b ON b.id = r.business_id
WHERE r.status IN ('pending', 'running') AND r.next_step_at <= now()
ORDER BY r.next_step_at LIMIT 1 FOR NO KEY UPDATE OF r SKIP LOCKED`

// replayStep is one step under way.
type replayStep struct {
	tx       pgx.Tx
	business models.BusinessID
	id       models.ReplayID
	// named says that the replay is of one endpoint.
	named, failedOnly bool
	rate              float64
	eventTypes        []string
	until             time.Time
	// due is when the next delivery is, now the transaction's time.
	due, now  time.Time
	suspended bool

	target replayTarget
	count  models.ReplayCount
	// failure ends the replay.
	failure string
	result  ReplayStep
}

// ReplayStep is what a step did.
type ReplayStep struct {
	BusinessID models.BusinessID
	ReplayID   models.ReplayID
	// Webhook is the endpoint that got deliveries, Count what the step added to
	// the replay's.
	Webhook models.WebhookID
	Count   models.ReplayCount
	// Status is the replay's after the step.
	Status models.ReplayStatus
	// Mine says that this dispatcher holds the endpoint's lane, Foreign is who
	// else does, Due that nobody does and it has become due.
	Mine    bool
	Foreign []string
	Due     bool
}

// NextReplay returns how long it is until a replay is to be worked on, zero or
// less when one is now; ok is false when there is none.
func (d *Dispatcher) NextReplay(ctx context.Context) (in time.Duration, ok bool, err error) {
	var seconds *float64
	err = d.pool.QueryRow(ctx, `SELECT extract(epoch FROM min(next_step_at) - now())::float8
		FROM webhook_replays WHERE status IN ('pending', 'running')`).Scan(&seconds)
	if err != nil || seconds == nil {
		return 0, false, database.Coded(err)
	}
	return time.Duration(*seconds * float64(time.Second)), true, nil
}

// StepReplay works on the replay that has waited longest, in one transaction
// that restarts or makes deliveries of one endpoint and notes how far it is:
// whoever is killed in the middle has done all of a step or none. ok is false
// when no replay is due, or others are working on those that are. A replay whose
// step fails is left alone for five seconds, so that it does not hold up the
// others.
func (d *Dispatcher) StepReplay(ctx context.Context) (done ReplayStep, ok bool, err error) {
	var s replayStep
	err = pgx.BeginTxFunc(ctx, d.pool, database.BeginReadCommitted, func(tx pgx.Tx) error {
		s = replayStep{tx: tx}
		found, err := s.next(ctx)
		if err != nil || !found {
			return err
		}
		if s.suspended {
			return s.postpone(ctx, tx)
		}
		return s.run(ctx, d.owner)
	})
	if err != nil && !s.id.IsZero() && ctx.Err() == nil && !database.IsConflict(err) {
		err = errors.Join(err, s.postpone(ctx, d.pool))
	}
	s.result.BusinessID, s.result.ReplayID, s.result.Count = s.business, s.id, s.count
	return s.result, err == nil && !s.id.IsZero(), database.Coded(err)
}

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// postpone leaves a replay for later.
func (s *replayStep) postpone(ctx context.Context, on execer) error {
	_, err := on.Exec(ctx, `UPDATE webhook_replays SET next_step_at = now() + $3::interval WHERE business_id = $1 AND id = $2`,
		s.business, s.id, replayRetry)
	if err != nil {
		return fmt.Errorf("postponing a replay: %w", err)
	}
	return nil
}

func (s *replayStep) next(ctx context.Context) (found bool, err error) {
	if _, err := s.tx.Exec(ctx, replaySettingsSQL); err != nil {
		return false, fmt.Errorf("replay settings: %w", err)
	}
	err = s.tx.QueryRow(ctx, nextReplaySQL).Scan(&s.business, &s.id, &s.named, &s.failedOnly, &s.rate, &s.eventTypes, &s.until,
		&s.due, &s.now, &s.suspended)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("next replay: %w", err)
	}
	return true, nil
}

// run does the step for the endpoint whose turn it is.
func (s *replayStep) run(ctx context.Context, owner pgtype.UUID) error {
	found, err := s.nextTarget(ctx)
	if err != nil {
		return err
	}
	if !found {
		return s.save(ctx)
	}
	if s.target.deleted || s.target.status == models.WebhookDisabled {
		err = s.dropTarget(ctx)
	} else {
		err = s.serve(ctx, owner)
	}
	if err != nil {
		return err
	}
	return s.save(ctx)
}

// dropTarget gives up on an endpoint that was disabled or deleted meanwhile.
func (s *replayStep) dropTarget(ctx context.Context) error {
	s.count.Skipped++
	if s.named {
		s.failure = "the webhook was disabled"
		if s.target.deleted {
			s.failure = "the webhook was deleted"
		}
	}
	return s.finishTarget(ctx)
}

// serve replays the next deliveries of the target, unless it cannot keep up.
func (s *replayStep) serve(ctx context.Context, owner pgtype.UUID) error {
	most := min(max(int(s.rate*replayAhead.Seconds()), 1), replayBatch)
	congested, err := s.congested(ctx, most)
	if err != nil {
		return err
	}
	if congested {
		return s.moveTarget(ctx, congestedPause)
	}
	found, more, err := s.walk(ctx, most)
	if err != nil {
		return err
	}
	batch := s.choose(found, most)
	if batch.deliveries() > 0 {
		if err := s.replay(ctx, &batch, owner); err != nil {
			return err
		}
	}
	if batch.end && !more {
		return s.finishTarget(ctx)
	}
	pause := time.Duration(0)
	if batch.deliveries() == 0 {
		pause = scanPause
	}
	return s.moveTarget(ctx, pause)
}

const saveReplaySQL = `UPDATE webhook_replays r SET matched = r.matched + $3, missing = r.missing + $4, replayed = r.replayed + $5,
    pending = r.pending + $6, skipped = r.skipped + $7, paced_until = $8, started_at = coalesce(r.started_at, now()),
    next_step_at = greatest($8::timestamptz - $9::interval, t.next_step_at, now()),
    status = CASE WHEN $10 <> '' THEN 'failed' WHEN t.next_step_at IS NULL THEN 'completed' ELSE 'running' END,
    failure_reason = nullif($10, ''),
    finished_at = CASE WHEN $10 <> '' OR t.next_step_at IS NULL THEN now() END
FROM (SELECT min(next_step_at) AS next_step_at FROM webhook_replay_targets WHERE business_id = $1 AND replay_id = $2) t
WHERE r.business_id = $1 AND r.id = $2
RETURNING r.status`

// save adds the step to the replay and ends it when no endpoint is left.
func (s *replayStep) save(ctx context.Context) error {
	err := s.tx.QueryRow(ctx, saveReplaySQL, s.business, s.id,
		s.count.Matched, s.count.Missing, s.count.Replayed, s.count.Pending, s.count.Skipped,
		s.due, replayAhead, s.failure).Scan(&s.result.Status)
	if err != nil {
		return fmt.Errorf("saving a replay: %w", err)
	}
	return nil
}
