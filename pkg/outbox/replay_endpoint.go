package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// targets lists the endpoints of the selection.
func (r *replay) targets(ctx context.Context) ([]models.WebhookID, error) {
	if !r.selection.WebhookID.IsZero() {
		return []models.WebhookID{r.selection.WebhookID}, nil
	}
	rows, err := r.db.Pool.Query(ctx, `SELECT id FROM webhooks
		WHERE business_id = $1 AND deleted_at IS NULL AND status <> 'disabled' ORDER BY id`, r.selection.BusinessID)
	if err != nil {
		return nil, database.Coded(err)
	}
	targets, err := pgx.CollectRows(rows, pgx.RowTo[models.WebhookID])
	return targets, database.Coded(err)
}

// endpoint replays what failed on one endpoint, step by step. Deliveries are
// taken in the order of their ids; those that fail again meanwhile lie behind
// and are not taken twice.
func (r *replay) endpoint(ctx context.Context, webhook models.WebhookID) error {
	if r.options.DryRun {
		return r.countEndpoint(ctx, webhook)
	}
	var after models.DeliveryID
	for {
		step, err := r.step(ctx, webhook, after)
		if errs.Is(err, errs.InvalidState) || errs.Is(err, errs.NotFound) {
			if r.selection.WebhookID.IsZero() {
				return nil // disabled or deleted since it was listed
			}
		}
		if err != nil {
			return err
		}
		r.count.Matched += int64(len(step.ids))
		r.count.Replayed += step.replayed
		if r.options.Progress != nil {
			r.options.Progress(r.count)
		}
		if len(step.ids) < replayStep {
			return nil
		}
		after = step.ids[len(step.ids)-1]
	}
}

const failedSQL = `FROM webhook_deliveries
WHERE business_id = $1 AND webhook_id = $2 AND status = 'failed' AND id > $3 AND finished_at >= $4`

type replayedStep struct {
	ids      []models.DeliveryID
	replayed int64
}

func (r *replay) step(ctx context.Context, webhook models.WebhookID, after models.DeliveryID) (replayedStep, error) {
	var done replayedStep
	err := r.db.InPgxTx(ctx, func(tx pgx.Tx) error {
		if err := lockEndpoint(ctx, tx, r.selection.BusinessID, webhook); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id `+failedSQL+` ORDER BY id LIMIT $5 FOR UPDATE`,
			r.selection.BusinessID, webhook, lowest(after), r.selection.Since, replayStep)
		if err != nil {
			return fmt.Errorf("replaying: %w", err)
		}
		done.ids, err = pgx.CollectRows(rows, pgx.RowTo[models.DeliveryID])
		if err != nil || len(done.ids) == 0 {
			return err
		}
		done.replayed, err = r.restart(ctx, tx, webhook, done.ids)
		return err
	})
	return done, err
}

func (r *replay) countEndpoint(ctx context.Context, webhook models.WebhookID) error {
	return r.db.InPgxTx(ctx, func(tx pgx.Tx) error {
		err := lockEndpoint(ctx, tx, r.selection.BusinessID, webhook)
		if err != nil {
			return err
		}
		var matched int64
		err = tx.QueryRow(ctx, `SELECT count(*) `+failedSQL,
			r.selection.BusinessID, webhook, lowest(models.DeliveryID{}), r.selection.Since).Scan(&matched)
		r.count.Matched += matched
		return err
	})
}

// lowest writes an id for a comparison; the zero id would be null.
func lowest(id models.DeliveryID) string { return id.UUID() }
