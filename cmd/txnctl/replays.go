package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

const (
	// watchInterval is between two looks at a replay that is waited for.
	watchInterval = 250 * time.Millisecond
	// patience is how long a replay may wait for a dispatcher before txnctl says so.
	patience = 3 * time.Second
)

// awaitReplay shows how far a replay is until it has ended, and then its result.
func (s *session) awaitReplay(ctx context.Context, db *database.DB, row models.Replay) error {
	bar := s.newProgress("deliveries", replayTotal(row))
	defer bar.end()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	began, impatient, cutOff := time.Now(), false, false
	for row.Status.Open() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no longer waiting for replay %s, which goes on: see `txnctl webhook replay show %s`, or cancel instead of show", row.ID, row.ID)
		case <-tick.C:
		}
		now, err := outbox.FindReplay(db.Gorm.WithContext(ctx), row.BusinessID, row.ID)
		switch {
		case errs.Is(err, errs.Unavailable):
			if !cutOff && ctx.Err() == nil {
				s.note("%s; the replay goes on when it is back.", describe(err))
			}
			cutOff = true
			continue
		case err != nil:
			return err
		}
		row, cutOff = now, false
		bar.at(row.Replayed+row.Pending, replayTotal(row))
		if row.Status == models.ReplayPending && !impatient && time.Since(began) > patience {
			impatient = true
			s.note("Replay %s waits for a dispatcher: is one running? It stays queued if you stop waiting.", row.ID)
		}
	}
	bar.end()
	if err := printOne(s, replayView, row); err != nil {
		return err
	}
	switch row.Status {
	case models.ReplayFailed:
		return errs.New(errs.InvalidState, "the replay failed: %s", optionalCell(row.FailureReason))
	case models.ReplayCancelled:
		return errors.New("the replay was cancelled")
	default:
		return nil
	}
}

func replayTotal(row models.Replay) int64 {
	if row.Total == nil {
		return unknownTotal
	}
	return *row.Total
}

func newReplayList(s *session) *cobra.Command {
	var paging listFlags
	var business string
	cmd := &cobra.Command{
		Use: "list --business BUSINESS", Short: "List the replays of a business, the newest first",
		Long:    "List the replays of a business, the newest first, a page at a time: those of operators and those of the API.",
		Example: "  txnctl webhook replay list --business biz_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := parseID[models.BusinessPrefix]("business", business)
			if err != nil {
				return err
			}
			if err := paging.check(); err != nil {
				return err
			}
			after, err := cursorID[models.ReplayPrefix](paging.cursor)
			if err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				if err := checkBusiness(cmd.Context(), db, id); err != nil {
					return err
				}
				rows, err := outbox.ListReplays(db.Gorm.WithContext(cmd.Context()), id, "", after, paging.limit+1)
				if err != nil {
					return err
				}
				return printPage(s, replayView, page[models.Replay]{
					items: rows[:min(paging.limit, len(rows))], more: len(rows) > paging.limit,
					cursor: func(r models.Replay) string { return r.ID.String() },
				})
			})
		},
	}
	paging.register(cmd)
	cmd.Flags().StringVar(&business, "business", "", "`id` of the business (required)")
	requireFlags(cmd, "business")
	return cmd
}

func newReplayShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show REPLAY", Short: "Show how far a replay is",
		Long:    "Show what a replay is of and how far it is.",
		Example: "  txnctl webhook replay show rpl_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withReplay(cmd.Context(), args[0], func(_ *database.DB, row models.Replay) error {
				return printOne(s, replayView, row)
			})
		},
	}
}

func newReplayWatch(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "watch REPLAY", Short: "Wait until a replay has ended",
		Long:    "Show how far a replay is, with a progress bar, until it has ended.",
		Example: "  txnctl webhook replay watch rpl_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withReplay(cmd.Context(), args[0], func(db *database.DB, row models.Replay) error {
				return s.awaitReplay(cmd.Context(), db, row)
			})
		},
	}
}

func newReplayCancel(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cancel REPLAY", Short: "End a replay before it is done",
		Long: `End a replay before it is done. What it has replayed already is sent; the rest
stays as it is. Cancelling a cancelled replay changes nothing.`,
		Example: "  txnctl webhook replay cancel rpl_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return s.withReplay(ctx, args[0], func(db *database.DB, before models.Replay) error {
				var row models.Replay
				err := db.InTx(ctx, func(tx *gorm.DB) (err error) {
					row, err = outbox.CancelReplay(tx, before.BusinessID, before.ID)
					if err != nil || before.Status == models.ReplayCancelled {
						return err
					}
					return audit.Append(ctx, tx, audit.Change{
						Business: row.BusinessID, Actor: s.operator(), Action: audit.ReplayCancelled,
						Target: row.ID.String(), Before: wire.NewReplay(before), After: wire.NewReplay(row),
					})
				})
				if err != nil {
					return err
				}
				return printOne(s, replayView, row)
			})
		},
	}
}

// withReplay runs do on a replay that is named by its id alone.
func (s *session) withReplay(ctx context.Context, text string, do func(db *database.DB, row models.Replay) error) error {
	id, err := parseID[models.ReplayPrefix]("replay", text)
	if err != nil {
		return err
	}
	return s.withDB(ctx, func(db *database.DB) error {
		business, err := webhook.OwnerOfReplay(ctx, db, id)
		if err != nil {
			return err
		}
		row, err := outbox.FindReplay(db.Gorm.WithContext(ctx), business, id)
		if err != nil {
			return err
		}
		return do(db, row)
	})
}
