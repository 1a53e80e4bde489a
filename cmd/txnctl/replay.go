package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

// replayFlags say what to replay and how.
type replayFlags struct {
	delivery, event, endpoint, business string
	since, until                        string
	eventTypes                          []string
	failedOnly, dryRun, noWait          bool
	rate                                float64
}

func newWebhookReplay(s *session) *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "replay --delivery DELIVERY | --event EVENT [--endpoint WEBHOOK] | --endpoint WEBHOOK | --business BUSINESS",
		Short: "Send deliveries again",
		Long: `Send deliveries again. They keep their id and webhook-id, so that receivers can
tell them for duplicates, and start the retry schedule anew; what is pending is
counted and left alone. --dry-run only counts.

  --delivery  one delivery, whether it was delivered or failed
  --event     one event, to every endpoint that subscribes to it or had it, or to
              the one named by --endpoint
  --endpoint  what failed on an endpoint; with --since also the events that match
              its filter and that it never had, older than the endpoint or not
  --business  what failed on the endpoints of a business, disabled ones left out

One delivery and one event are due at once. The others become a replay that the
dispatchers work off, --rate deliveries a second: it goes on whatever happens to
txnctl, which only waits for it. The subcommands list, show, watch and cancel
such replays.`,
		Example: `  txnctl webhook replay --delivery dlv_01h455vb4pex5vsknk084sn02q
  txnctl webhook replay --event evt_01h455vb4pex5vsknk084sn02q --endpoint wh_01h455vb4pex5vsknk084sn02q
  txnctl webhook replay --endpoint wh_01h455vb4pex5vsknk084sn02q --since 2026-01-01T00:00:00Z --dry-run
  txnctl webhook replay --business biz_01h455vb4pex5vsknk084sn02q --rate 50 --no-wait`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error { return s.replay(cmd.Context(), db, flags) })
		},
	}
	cmd.AddCommand(newReplayList(s), newReplayShow(s), newReplayWatch(s), newReplayCancel(s))
	set := cmd.Flags()
	set.StringVar(&flags.delivery, "delivery", "", "`id` of one delivery")
	set.StringVar(&flags.event, "event", "", "`id` of one event")
	set.StringVar(&flags.endpoint, "endpoint", "", "`id` of an endpoint (--webhook is the same)")
	set.StringVar(&flags.business, "business", "", "`id` of a business")
	set.StringVar(&flags.since, "since", "", "leave out events created before this `time` (RFC 3339)")
	set.StringVar(&flags.until, "until", "", "leave out events created at or after this `time` (RFC 3339)")
	set.StringSliceVar(&flags.eventTypes, "event-types", nil, "leave out events of other `types`, such as hold.*,account.created")
	set.BoolVar(&flags.failedOnly, "failed-only", false, "with --endpoint and --since, leave out what it never had")
	set.Float64Var(&flags.rate, "rate", outbox.DefaultReplayRate, "deliveries per second")
	set.BoolVar(&flags.dryRun, "dry-run", false, "count, and change nothing")
	set.BoolVar(&flags.noWait, "no-wait", false, "do not wait until it is done")
	endpointAlias(cmd)
	return cmd
}

// endpointAlias lets a command take --webhook for --endpoint.
func endpointAlias(cmd *cobra.Command) {
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "webhook" {
			name = "endpoint"
		}
		return pflag.NormalizedName(name)
	})
}

func (f *replayFlags) check() error {
	named := 0
	for _, id := range []string{f.delivery, f.event, f.endpoint, f.business} {
		if id != "" {
			named++
		}
	}
	single := f.delivery != "" || f.event != ""
	switch {
	case named != 1 && (named != 2 || f.event == "" || f.endpoint == ""):
		return usagef("name what to replay by one of --delivery, --event, --endpoint and --business; an --event may go to one --endpoint")
	case single && (f.since != "" || f.until != "" || len(f.eventTypes) > 0 || f.failedOnly):
		return usagef("--since, --until, --event-types and --failed-only go with --endpoint or --business")
	case f.rate <= 0:
		return usagef("--rate must be positive")
	}
	return nil
}

// selection finds what the flags name, and how the audit log calls it.
func (f *replayFlags) selection(ctx context.Context, db *database.DB) (s outbox.ReplaySelection, target string, err error) {
	s.FailedOnly, s.EventTypes = f.failedOnly, f.eventTypes
	if s.Since, err = timeFlag("since", f.since); err != nil {
		return s, "", err
	}
	if s.Until, err = timeFlag("until", f.until); err != nil {
		return s, "", err
	}
	if f.endpoint != "" {
		if s.WebhookID, err = parseID[models.WebhookPrefix]("webhook", f.endpoint); err != nil {
			return s, "", err
		}
	}
	switch {
	case f.delivery != "":
		if s.DeliveryID, err = parseID[models.DeliveryPrefix]("delivery", f.delivery); err != nil {
			return s, "", err
		}
		s.BusinessID, err = webhook.OwnerOfDelivery(ctx, db, s.DeliveryID)
		return s, f.delivery, err
	case f.event != "":
		if s.EventID, err = parseID[models.EventPrefix]("event", f.event); err != nil {
			return s, "", err
		}
		s.BusinessID, err = webhook.OwnerOfEvent(ctx, db, s.EventID)
		return s, f.event, err
	case f.endpoint != "":
		s.BusinessID, err = webhook.OwnerOf(ctx, db, s.WebhookID)
		return s, f.endpoint, err
	default:
		if s.BusinessID, err = parseID[models.BusinessPrefix]("business", f.business); err != nil {
			return s, "", err
		}
		return s, f.business, checkBusiness(ctx, db, s.BusinessID)
	}
}

func (s *session) replay(ctx context.Context, db *database.DB, flags replayFlags) error {
	selection, target, err := flags.selection(ctx, db)
	if err != nil {
		return err
	}
	// Counted beforehand: a progress bar needs an end.
	count, err := webhook.CountReplay(db.Gorm.WithContext(ctx), selection, flags.rate)
	if err != nil {
		return err
	}
	if flags.dryRun {
		return printOne(s, dryRunView, count)
	}
	var row models.Replay
	err = db.InTx(ctx, func(tx *gorm.DB) (err error) {
		if row, err = webhook.StartReplay(tx, selection, flags.rate, &count.Matched); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Change{
			Business: row.BusinessID, Actor: s.operator(), Action: audit.WebhookReplayed, Target: target, After: wire.NewReplay(row),
		})
	})
	if err != nil {
		return err
	}
	if row.Status.Open() && flags.noWait {
		s.note("Replay %s is queued: look at it with `txnctl webhook replay show %s`.", row.ID, row.ID)
		return printOne(s, replayView, row)
	}
	return s.awaitReplay(ctx, db, row)
}

var dryRunView = view[models.ReplayCount]{
	shape: func(c models.ReplayCount) any { return wire.NewReplayDryRun(c) },
	columns: []column[models.ReplayCount]{
		{title: "MATCHED", cell: func(c models.ReplayCount) string { return numberCell(c.Matched) }},
		{title: "MISSING", cell: func(c models.ReplayCount) string { return numberCell(c.Missing) }},
		{title: "PENDING", cell: func(c models.ReplayCount) string { return numberCell(c.Pending) }},
		{title: "SKIPPED", cell: func(c models.ReplayCount) string { return numberCell(c.Skipped) }},
	},
}

var replayView = view[models.Replay]{
	shape: func(r models.Replay) any { return wire.NewReplay(r) },
	columns: []column[models.Replay]{
		{title: "ID", cell: func(r models.Replay) string { return r.ID.String() }},
		{title: "OF", cell: replayedCell},
		{title: "STATUS", cell: func(r models.Replay) string { return string(r.Status) }},
		{title: "REASON", cell: func(r models.Replay) string { return optionalCell(r.FailureReason) }, detail: true},
		{title: "SINCE", cell: func(r models.Replay) string { return optionalTimeCell(r.Since) }, detail: true},
		{title: "UNTIL", cell: func(r models.Replay) string { return timeCell(r.Until) }, detail: true},
		{title: "EVENTS", cell: func(r models.Replay) string { return orNone(strings.Join(r.EventTypes, ",")) }, detail: true},
		{title: "RATE", cell: func(r models.Replay) string { return strconv.FormatFloat(r.Rate, 'f', -1, 64) }, detail: true},
		{title: "MATCHED", cell: func(r models.Replay) string { return numberCell(r.Matched) }},
		{title: "MISSING", cell: func(r models.Replay) string { return numberCell(r.Missing) }, detail: true},
		{title: "REPLAYED", cell: func(r models.Replay) string { return numberCell(r.Replayed) }},
		{title: "PENDING", cell: func(r models.Replay) string { return numberCell(r.Pending) }},
		{title: "SKIPPED", cell: func(r models.Replay) string { return numberCell(r.Skipped) }, detail: true},
		{title: "CREATED", cell: func(r models.Replay) string { return timeCell(r.CreatedAt) }},
		{title: "FINISHED", cell: func(r models.Replay) string { return optionalTimeCell(r.FinishedAt) }, detail: true},
	},
}

func numberCell(n int64) string { return strconv.FormatInt(n, 10) }

// replayedCell is what a replay is of.
func replayedCell(r models.Replay) string {
	switch {
	case r.DeliveryID != nil:
		return r.DeliveryID.String()
	case r.EventID != nil:
		return r.EventID.String()
	case r.WebhookID != nil:
		return r.WebhookID.String()
	default:
		return r.BusinessID.String()
	}
}
