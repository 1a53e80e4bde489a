package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// failedDelivery is a delivery that ended as failed, with the type of its event.
type failedDelivery struct {
	models.Delivery `gorm:"embedded"`
	EventType       models.EventType
}

var failedView = view[failedDelivery]{
	shape: func(f failedDelivery) any { return wire.NewDelivery(f.Delivery, f.EventType) },
	columns: []column[failedDelivery]{
		{title: "ID", cell: func(f failedDelivery) string { return f.ID.String() }},
		{title: "EVENT", cell: func(f failedDelivery) string { return string(f.EventType) }},
		{title: "WEBHOOK", cell: func(f failedDelivery) string { return f.WebhookID.String() }},
		{title: "ATTEMPTS", cell: func(f failedDelivery) string { return strconv.Itoa(f.AttemptCount) }},
		{title: "FAILED", cell: func(f failedDelivery) string { return optionalTimeCell(f.FinishedAt) }},
		{title: "REASON", cell: func(f failedDelivery) string { return optionalCell(f.FailureReason) }},
	},
}

// failedFilter says which failed deliveries to list.
type failedFilter struct {
	business models.BusinessID
	webhook  models.WebhookID
	since    time.Time
	after    models.DeliveryID
	limit    int
}

func newWebhookFailed(s *session) *cobra.Command {
	var paging listFlags
	var business, endpoint, since string
	cmd := &cobra.Command{
		Use: "failed --business BUSINESS | --endpoint WEBHOOK", Short: "List deliveries that failed, the newest first",
		Long: `List the deliveries of a business, or of one endpoint, that ended as failed, the
newest first, a page at a time. txnctl webhook replay sends them again.`,
		Example: `  txnctl webhook failed --business biz_01h455vb4pex5vsknk084sn02q
  txnctl webhook failed --endpoint wh_01h455vb4pex5vsknk084sn02q --since 2026-01-01T00:00:00Z -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if (business == "") == (endpoint == "") {
				return usagef("name one of --business and --endpoint")
			}
			if err := paging.check(); err != nil {
				return err
			}
			filter := failedFilter{limit: paging.limit}
			if filter.since, err = timeFlag("since", since); err != nil {
				return err
			}
			if filter.after, err = cursorID[models.DeliveryPrefix](paging.cursor); err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				if err := filter.name(cmd.Context(), db, business, endpoint); err != nil {
					return err
				}
				return s.listFailed(cmd.Context(), db, filter)
			})
		},
	}
	paging.register(cmd)
	cmd.Flags().StringVar(&business, "business", "", "`id` of a business")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "`id` of an endpoint")
	cmd.Flags().StringVar(&since, "since", "", "leave out what ended before this `time` (RFC 3339)")
	return cmd
}

// name finds the business or the endpoint that the flags name.
func (f *failedFilter) name(ctx context.Context, db *database.DB, business, endpoint string) (err error) {
	if endpoint == "" {
		if f.business, err = parseID[models.BusinessPrefix]("business", business); err != nil {
			return err
		}
		return checkBusiness(ctx, db, f.business)
	}
	if f.webhook, err = parseID[models.WebhookPrefix]("webhook", endpoint); err != nil {
		return err
	}
	f.business, err = ownerOf(ctx, db, webhookOwnerSQL, "webhook", f.webhook)
	return err
}

func (s *session) listFailed(ctx context.Context, db *database.DB, filter failedFilter) error {
	query := db.Gorm.WithContext(ctx).Table("webhook_deliveries d").
		Joins("JOIN webhook_events e ON e.business_id = d.business_id AND e.id = d.event_id").
		Select("d.*, e.type AS event_type").
		Where("d.business_id = ? AND d.status = 'failed'", filter.business)
	if !filter.webhook.IsZero() {
		query = query.Where("d.webhook_id = ?", filter.webhook)
	}
	if !filter.since.IsZero() {
		query = query.Where("d.finished_at >= ?", filter.since)
	}
	if !filter.after.IsZero() {
		query = query.Where("d.id < ?", filter.after)
	}
	var items []failedDelivery
	if err := query.Order("d.id DESC").Limit(filter.limit + 1).Find(&items).Error; err != nil {
		return database.Coded(err)
	}
	more := len(items) > filter.limit
	return printPage(s, failedView, page[failedDelivery]{
		items: items[:min(filter.limit, len(items))], more: more,
		cursor: func(f failedDelivery) string { return f.ID.String() },
	})
}
