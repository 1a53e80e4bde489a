package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// Defaults of a replay.
const (
	// DefaultReplayRate is how many deliveries a second a replay makes due.
	DefaultReplayRate = 100
	replayStep        = 1000
)

// ReplaySelection says what to replay. BusinessID is required; with nothing
// else, everything failed of the business is meant.
type ReplaySelection struct {
	BusinessID models.BusinessID
	// DeliveryID replays one delivery, delivered or failed; the other fields are
	// not looked at then.
	DeliveryID models.DeliveryID
	// WebhookID replays what failed on one endpoint.
	WebhookID models.WebhookID
	// Since leaves out what ended before.
	Since time.Time
}

// ReplayOptions say how.
type ReplayOptions struct {
	// DryRun only counts.
	DryRun bool
	// Rate is how many deliveries become due per second; 0 means 100.
	Rate float64
	// Progress is called after every step, when there is one.
	Progress func(ReplayCount)
}

// ReplayCount is what a replay found and did.
type ReplayCount struct {
	// Matched is how many deliveries are meant; with DryRun all, otherwise those
	// seen so far.
	Matched int64 `json:"matched"`
	// Replayed are pending again.
	Replayed int64 `json:"replayed"`
	// Pending had not ended, so that there was nothing to do.
	Pending int64 `json:"pending"`
}

// Replay starts ended deliveries again: same id, same webhook-id, next run, the
// schedule from its beginning, the attempt numbers going on. It works in steps
// of 1,000 deliveries that commit on their own and spreads them over time; one
// that was interrupted is resumed by calling it again. What is pending already is
// counted and left alone.
//
// NotFound for an unknown delivery or endpoint, InvalidState for a disabled
// endpoint; a replay of the whole business skips those.
func Replay(ctx context.Context, db *database.DB, selection ReplaySelection, options ReplayOptions) (ReplayCount, error) {
	if options.Rate <= 0 {
		options.Rate = DefaultReplayRate
	}
	r := &replay{db: db, selection: selection, options: options, start: time.Now()}
	if !selection.DeliveryID.IsZero() {
		return r.one(ctx)
	}
	targets, err := r.targets(ctx)
	if err != nil {
		return ReplayCount{}, err
	}
	for _, target := range targets {
		if err := r.endpoint(ctx, target); err != nil {
			return r.count, err
		}
	}
	return r.count, nil
}

type replay struct {
	db        *database.DB
	selection ReplaySelection
	options   ReplayOptions
	start     time.Time
	count     ReplayCount
}

// replayRowsSQL restarts the deliveries of one endpoint named by $3 and touches
// the lane, whose holder would not look again otherwise. $4 is how many seconds
// from now the first of them is due, $5 how many apart the others are.
const replayRowsSQL = `WITH x AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM unnest($3::uuid[]) AS id
), u AS (
    UPDATE webhook_deliveries d SET status = 'pending', run = d.run + 1, run_attempt = 0, ordered = w.ordered,
        next_attempt_at = now() + make_interval(secs => $4::float8 + x.n * $5::float8), finished_at = NULL, failure_reason = NULL
    FROM x, webhooks w
    WHERE d.business_id = $1 AND d.id = x.id AND d.status <> 'pending' AND w.business_id = $1 AND w.id = $2
    RETURNING d.next_attempt_at
), touched AS (
    UPDATE webhook_lanes l SET touches = l.touches + 1,
        due_at = CASE WHEN l.owner IS NOT NULL AND l.due_at > now() THEN l.due_at
                 ELSE greatest(least(l.due_at, (SELECT min(next_attempt_at) FROM u)), l.blocked_until) END
    WHERE l.business_id = $1 AND l.webhook_id = $2 AND EXISTS (SELECT FROM u)
)
SELECT count(*) FROM u`

// restart replays the deliveries inside a transaction that holds their locks.
func (r *replay) restart(ctx context.Context, tx pgx.Tx, webhook models.WebhookID, ids []models.DeliveryID) (replayed int64, err error) {
	ahead := float64(r.count.Replayed)/r.options.Rate - time.Since(r.start).Seconds()
	err = tx.QueryRow(ctx, replayRowsSQL, r.selection.BusinessID, webhook, ids, max(ahead, 0), 1/r.options.Rate).Scan(&replayed)
	if err == nil {
		_, err = tx.Exec(ctx, `SELECT pg_notify($1, $2)`, laneChannel, laneChanged)
	}
	if err != nil {
		return 0, fmt.Errorf("replaying: %w", err)
	}
	return replayed, nil
}

func (r *replay) one(ctx context.Context) (ReplayCount, error) {
	r.count.Matched = 1
	err := r.db.InPgxTx(ctx, func(tx pgx.Tx) error {
		var webhook models.WebhookID
		err := tx.QueryRow(ctx, `SELECT webhook_id FROM webhook_deliveries WHERE business_id = $1 AND id = $2`,
			r.selection.BusinessID, r.selection.DeliveryID).Scan(&webhook)
		if errors.Is(err, pgx.ErrNoRows) {
			return errs.New(errs.NotFound, "no such delivery")
		}
		if err != nil {
			return fmt.Errorf("replaying: %w", err)
		}
		if err := lockEndpoint(ctx, tx, r.selection.BusinessID, webhook); err != nil {
			return err
		}
		return r.restartOne(ctx, tx, webhook)
	})
	return r.count, err
}

func (r *replay) restartOne(ctx context.Context, tx pgx.Tx, webhook models.WebhookID) error {
	var status models.DeliveryStatus
	err := tx.QueryRow(ctx, `SELECT status FROM webhook_deliveries WHERE business_id = $1 AND id = $2 FOR UPDATE`,
		r.selection.BusinessID, r.selection.DeliveryID).Scan(&status)
	r.count.Pending, r.count.Replayed = 0, 0
	switch {
	case err != nil:
		return fmt.Errorf("replaying: %w", err)
	case status == models.DeliveryPending:
		r.count.Pending = 1
		return nil
	case r.options.DryRun:
		return nil
	}
	r.count.Replayed, err = r.restart(ctx, tx, webhook, []models.DeliveryID{r.selection.DeliveryID})
	return err
}

// lockEndpoint keeps the endpoint from being disabled or deleted until the
// transaction ends, and refuses one that is.
func lockEndpoint(ctx context.Context, tx pgx.Tx, business models.BusinessID, webhook models.WebhookID) error {
	var status models.WebhookStatus
	err := tx.QueryRow(ctx, `SELECT status FROM webhooks WHERE business_id = $1 AND id = $2 AND deleted_at IS NULL FOR SHARE`,
		business, webhook).Scan(&status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errs.New(errs.NotFound, "no such webhook")
	case err != nil:
		return fmt.Errorf("replaying: %w", err)
	case status == models.WebhookDisabled:
		return errs.New(errs.InvalidState, "the webhook is disabled: enable it first")
	}
	return nil
}
