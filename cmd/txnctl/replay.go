package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

var replayView = view[outbox.ReplayCount]{
	shape: func(c outbox.ReplayCount) any { return c },
	columns: []column[outbox.ReplayCount]{
		{title: "MATCHED", cell: func(c outbox.ReplayCount) string { return strconv.FormatInt(c.Matched, 10) }},
		{title: "REPLAYED", cell: func(c outbox.ReplayCount) string { return strconv.FormatInt(c.Replayed, 10) }},
		{title: "PENDING", cell: func(c outbox.ReplayCount) string { return strconv.FormatInt(c.Pending, 10) }},
	},
}

// replayFlags say what to replay.
type replayFlags struct {
	delivery, endpoint, business, since string
	options                             outbox.ReplayOptions
}

func newWebhookReplay(s *session) *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use: "replay --delivery DELIVERY | --endpoint WEBHOOK | --business BUSINESS", Short: "Send deliveries again",
		Long: `Send deliveries again: one (delivered or failed), or all that failed on an endpoint
or in a business. They keep their id and webhook-id, so that receivers can tell
them for duplicates, and start the retry schedule anew. What is pending is
counted and left alone, and a replay that was interrupted goes on when it is
repeated. --dry-run only counts.`,
		Example: `  txnctl webhook replay --delivery dlv_01h455vb4pex5vsknk084sn02q
  txnctl webhook replay --endpoint wh_01h455vb4pex5vsknk084sn02q --since 2026-01-01T00:00:00Z --dry-run
  txnctl webhook replay --business biz_01h455vb4pex5vsknk084sn02q --rate 50`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(cmd); err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error { return s.replay(cmd.Context(), db, flags) })
		},
	}
	cmd.Flags().StringVar(&flags.delivery, "delivery", "", "`id` of one delivery")
	cmd.Flags().StringVar(&flags.endpoint, "endpoint", "", "`id` of an endpoint: all that failed on it")
	cmd.Flags().StringVar(&flags.business, "business", "", "`id` of a business: all that failed on its endpoints")
	cmd.Flags().StringVar(&flags.since, "since", "", "leave out what ended before this `time` (RFC 3339)")
	cmd.Flags().Float64Var(&flags.options.Rate, "rate", outbox.DefaultReplayRate, "deliveries per second")
	cmd.Flags().BoolVar(&flags.options.DryRun, "dry-run", false, "count, and change nothing")
	return cmd
}

func (f *replayFlags) check(cmd *cobra.Command) error {
	named := 0
	for _, name := range []string{"delivery", "endpoint", "business"} {
		if cmd.Flags().Changed(name) {
			named++
		}
	}
	switch {
	case named != 1:
		return usagef("name what to replay by one of --delivery, --endpoint and --business")
	case f.since != "" && f.delivery != "":
		return usagef("--since goes with --endpoint or --business")
	case f.options.Rate <= 0:
		return usagef("--rate must be positive")
	}
	return nil
}

// selection finds what the flags name, and how the audit log calls it.
func (f *replayFlags) selection(ctx context.Context, db *database.DB) (selection outbox.ReplaySelection, target string, err error) {
	if selection.Since, err = timeFlag("since", f.since); err != nil {
		return selection, "", err
	}
	switch {
	case f.delivery != "":
		if selection.DeliveryID, err = parseID[models.DeliveryPrefix]("delivery", f.delivery); err != nil {
			return selection, "", err
		}
		selection.BusinessID, err = ownerOf(ctx, db, deliveryOwnerSQL, "delivery", selection.DeliveryID)
		return selection, f.delivery, err
	case f.endpoint != "":
		if selection.WebhookID, err = parseID[models.WebhookPrefix]("webhook", f.endpoint); err != nil {
			return selection, "", err
		}
		selection.BusinessID, err = ownerOf(ctx, db, webhookOwnerSQL, "webhook", selection.WebhookID)
		return selection, f.endpoint, err
	default:
		if selection.BusinessID, err = parseID[models.BusinessPrefix]("business", f.business); err != nil {
			return selection, "", err
		}
		return selection, f.business, checkBusiness(ctx, db, selection.BusinessID)
	}
}

// replayRecord is a replay as the audit log shows it.
type replayRecord struct {
	outbox.ReplayCount
	Since *time.Time `json:"since,omitempty"`
	Error string     `json:"error,omitempty"`
}

func (s *session) replay(ctx context.Context, db *database.DB, flags replayFlags) error {
	selection, target, err := flags.selection(ctx, db)
	if err != nil {
		return err
	}
	bar := s.newProgress("deliveries", unknownTotal)
	flags.options.Progress = func(count outbox.ReplayCount) { bar.at(count.Matched, 0) }
	count, failure := outbox.Replay(ctx, db, selection, flags.options)
	bar.end()
	if !flags.options.DryRun && (failure == nil || count.Replayed > 0) {
		// Steps commit on their own: what an interrupted replay did is on record too.
		if err := recordReplay(context.WithoutCancel(ctx), db, selection, target, count, failure); err != nil {
			return err
		}
	}
	if failure != nil {
		return failure
	}
	return printOne(s, replayView, count)
}

func recordReplay(
	ctx context.Context, db *database.DB, selection outbox.ReplaySelection, target string, count outbox.ReplayCount, failure error,
) error {
	record := replayRecord{ReplayCount: count}
	if !selection.Since.IsZero() {
		record.Since = &selection.Since
	}
	if failure != nil {
		record.Error = describe(failure)
	}
	return audit.Append(ctx, db.Gorm, audit.Change{
		Business: selection.BusinessID, Actor: operator(), Action: audit.WebhookReplayed, Target: target, After: record,
	})
}
