package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

var failedView = view[webhook.DeliveryRow]{
	shape: func(d webhook.DeliveryRow) any { return wire.NewDelivery(d.Delivery, d.EventType) },
	columns: []column[webhook.DeliveryRow]{
		{title: "ID", cell: func(d webhook.DeliveryRow) string { return d.ID.String() }},
		{title: "EVENT", cell: func(d webhook.DeliveryRow) string { return orNone(string(d.EventType)) }},
		{title: "WEBHOOK", cell: func(d webhook.DeliveryRow) string { return d.WebhookID.String() }},
		{title: "ATTEMPTS", cell: func(d webhook.DeliveryRow) string { return strconv.Itoa(d.AttemptCount) }},
		{title: "FAILED", cell: func(d webhook.DeliveryRow) string { return optionalTimeCell(d.FinishedAt) }},
		{title: "REASON", cell: func(d webhook.DeliveryRow) string { return optionalCell(d.FailureReason) }},
	},
}

// failedFlags say which failed deliveries to list.
type failedFlags struct {
	paging                    listFlags
	business, endpoint, since string
}

func newWebhookFailed(s *session) *cobra.Command {
	var flags failedFlags
	cmd := &cobra.Command{
		Use: "failed --business BUSINESS | --endpoint WEBHOOK", Short: "List deliveries that failed, the newest first",
		Long: `List the deliveries of a business, or of one endpoint, that ended as failed, the
newest first, a page at a time. txnctl webhook replay sends them again.`,
		Example: `  txnctl webhook failed --business biz_01h455vb4pex5vsknk084sn02q
  txnctl webhook failed --endpoint wh_01h455vb4pex5vsknk084sn02q --since 2026-01-01T00:00:00Z -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (flags.business == "") == (flags.endpoint == "") {
				return usagef("name one of --business and --endpoint")
			}
			if err := flags.paging.check(); err != nil {
				return err
			}
			since, err := timeFlag("since", flags.since)
			if err != nil {
				return err
			}
			filter := webhook.DeliveryFilter{Status: models.DeliveryFailed, Since: since}
			if flags.endpoint != "" {
				return s.listEndpointFailed(cmd.Context(), filter, flags)
			}
			return s.listBusinessFailed(cmd.Context(), filter, flags)
		},
	}
	flags.paging.register(cmd)
	cmd.Flags().StringVar(&flags.business, "business", "", "`id` of a business")
	cmd.Flags().StringVar(&flags.endpoint, "endpoint", "", "`id` of an endpoint")
	cmd.Flags().StringVar(&flags.since, "since", "", "leave out events created before this `time` (RFC 3339)")
	endpointAlias(cmd)
	return cmd
}

func (s *session) listBusinessFailed(ctx context.Context, filter webhook.DeliveryFilter, flags failedFlags) error {
	business, err := parseID[models.BusinessPrefix]("business", flags.business)
	if err != nil {
		return err
	}
	after, err := cursorID[models.DeliveryPrefix](flags.paging.cursor)
	if err != nil {
		return err
	}
	return s.withDB(ctx, func(db *database.DB) error {
		if err := checkBusiness(ctx, db, business); err != nil {
			return err
		}
		rows, err := webhook.ListDeliveries(db.Gorm.WithContext(ctx), business, filter, after, flags.paging.limit+1)
		if err != nil {
			return err
		}
		return printFailed(s, rows, flags.paging.limit, func(d webhook.DeliveryRow) string { return d.ID.String() })
	})
}

// listEndpointFailed lists in the order of the events, as replays go.
func (s *session) listEndpointFailed(ctx context.Context, filter webhook.DeliveryFilter, flags failedFlags) (err error) {
	if filter.WebhookID, err = parseID[models.WebhookPrefix]("webhook", flags.endpoint); err != nil {
		return err
	}
	after, err := cursorID[models.EventPrefix](flags.paging.cursor)
	if err != nil {
		return err
	}
	return s.withDB(ctx, func(db *database.DB) error {
		business, err := webhook.OwnerOf(ctx, db, filter.WebhookID)
		if err != nil {
			return err
		}
		rows, err := webhook.ListWebhookDeliveries(db.Gorm.WithContext(ctx), business, filter, after, flags.paging.limit+1)
		if err != nil {
			return err
		}
		return printFailed(s, rows, flags.paging.limit, func(d webhook.DeliveryRow) string { return d.EventID.String() })
	})
}

func printFailed(s *session, rows []webhook.DeliveryRow, limit int, cursor func(webhook.DeliveryRow) string) error {
	return printPage(s, failedView, page[webhook.DeliveryRow]{
		items: rows[:min(limit, len(rows))], more: len(rows) > limit, cursor: cursor,
	})
}
