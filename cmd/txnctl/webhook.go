package main

import (
	"context"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

var webhookView = view[models.Webhook]{
	shape: func(w models.Webhook) any { return wire.NewWebhook(w) },
	columns: []column[models.Webhook]{
		{title: "ID", cell: func(w models.Webhook) string { return w.ID.String() }},
		{title: "BUSINESS", cell: func(w models.Webhook) string { return w.BusinessID.String() }, detail: true},
		{title: "URL", cell: func(w models.Webhook) string { return w.URL }},
		{title: "EVENTS", cell: func(w models.Webhook) string { return strings.Join(w.EventTypes, ",") }},
		{title: "STATUS", cell: func(w models.Webhook) string { return string(w.Status) }},
		{title: "REASON", cell: func(w models.Webhook) string { return optionalCell(w.DisabledReason) }, detail: true},
		{title: "METADATA", cell: func(w models.Webhook) string { return pairsCell(w.Metadata) }, detail: true},
		{title: "CREATED", cell: func(w models.Webhook) string { return timeCell(w.CreatedAt) }},
	},
}

// checkedWebhook is an endpoint with its health.
type checkedWebhook struct {
	models.Webhook
	health wire.WebhookHealth
}

var checkedWebhookView = view[checkedWebhook]{
	shape: func(w checkedWebhook) any {
		shape := wire.NewWebhook(w.Webhook)
		shape.Health = &w.health
		return shape
	},
	columns: append(checkedColumns(webhookView.columns),
		column[checkedWebhook]{title: "BREAKER", cell: func(w checkedWebhook) string { return w.health.Breaker }},
		column[checkedWebhook]{title: "BLOCKED UNTIL", cell: func(w checkedWebhook) string { return optionalTimeCell((*time.Time)(w.health.BlockedUntil)) }},
		column[checkedWebhook]{title: "FAILING SINCE", cell: func(w checkedWebhook) string { return optionalTimeCell((*time.Time)(w.health.FailingSince)) }},
		column[checkedWebhook]{title: "SUCCESS RATE", cell: func(w checkedWebhook) string { return rateCell(w.health.SuccessRate) }},
		column[checkedWebhook]{title: "PENDING", cell: func(w checkedWebhook) string { return strconv.FormatInt(w.health.PendingCount, 10) }},
		column[checkedWebhook]{title: "OLDEST PENDING", cell: func(w checkedWebhook) string { return optionalTimeCell((*time.Time)(w.health.OldestPendingAt)) }},
	),
}

func checkedColumns(columns []column[models.Webhook]) []column[checkedWebhook] {
	checked := make([]column[checkedWebhook], len(columns))
	for i, c := range columns {
		checked[i] = column[checkedWebhook]{title: c.title, cell: func(w checkedWebhook) string { return c.cell(w.Webhook) }}
	}
	return checked
}

// rateCell writes a share as per cent, nothing when there is none.
func rateCell(rate *float64) string {
	if rate == nil {
		return ""
	}
	return strconv.FormatFloat(100*(*rate), 'f', 1, 64) + " %"
}

func newWebhook(s *session) *cobra.Command {
	return newGroup("webhook", "Look after webhook endpoints and deliveries",
		"Look after the webhook endpoints of businesses, and the deliveries to them that failed.",
		newWebhookList(s), newWebhookShow(s), newWebhookDisable(s), newWebhookEnable(s),
		newWebhookFailed(s), newWebhookReplay(s))
}

func newWebhookList(s *session) *cobra.Command {
	var paging listFlags
	var business string
	cmd := &cobra.Command{
		Use: "list --business BUSINESS", Short: "List the endpoints of a business, the newest first",
		Long:    "List the endpoints of a business, the newest first, a page at a time.",
		Example: "  txnctl webhook list --business biz_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := parseID[models.BusinessPrefix]("business", business)
			if err != nil {
				return err
			}
			if err := paging.check(); err != nil {
				return err
			}
			after, err := cursorID[models.WebhookPrefix](paging.cursor)
			if err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				return s.listWebhooks(cmd.Context(), db, id, after, paging.limit)
			})
		},
	}
	paging.register(cmd)
	cmd.Flags().StringVar(&business, "business", "", "`id` of the business (required)")
	requireFlags(cmd, "business")
	return cmd
}

func (s *session) listWebhooks(
	ctx context.Context, db *database.DB, business models.BusinessID, after models.WebhookID, limit int,
) error {
	if err := checkBusiness(ctx, db, business); err != nil {
		return err
	}
	items, err := webhook.List(db.Gorm.WithContext(ctx), business, after, limit+1)
	if err != nil {
		return err
	}
	more := len(items) > limit
	return printPage(s, webhookView, page[models.Webhook]{
		items: items[:min(limit, len(items))], more: more, cursor: func(w models.Webhook) string { return w.ID.String() },
	})
}

func newWebhookShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show WEBHOOK", Short: "Show an endpoint and its health",
		Long: `Show an endpoint with its settings and its health: the circuit breaker, what blocks
it, the success rate of roughly the last hundred attempts, and what is pending,
counted up to 10,000. The signing secret is never shown.`,
		Example: "  txnctl webhook show wh_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.WebhookPrefix]("webhook", args[0])
			if err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				business, err := webhook.OwnerOf(cmd.Context(), db, id)
				if err != nil {
					return err
				}
				reader := db.Gorm.WithContext(cmd.Context())
				endpoint, err := webhook.Get(reader, business, id)
				if err != nil {
					return err
				}
				health, err := webhook.ReadHealth(reader, business, id)
				if err != nil {
					return err
				}
				return printOne(s, checkedWebhookView, checkedWebhook{Webhook: endpoint, health: health})
			})
		},
	}
}

func newWebhookDisable(s *session) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "disable WEBHOOK", Short: "Stop sending to an endpoint",
		Long: `Stop sending to an endpoint. What is pending ends as failed, from where it can be
replayed once the endpoint is enabled again; the business's other endpoints get
a webhook.disabled event. Disabling a disabled endpoint changes nothing.`,
		Example: `  txnctl webhook disable wh_01h455vb4pex5vsknk084sn02q --reason "decommissioned" --yes`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.WebhookPrefix]("webhook", args[0])
			if err != nil {
				return err
			}
			if err := s.confirm("All that is pending for webhook %s will end as failed. Go ahead?", id); err != nil {
				return err
			}
			return s.changeWebhook(cmd.Context(), id, audit.WebhookDisabled,
				func(tx *gorm.DB, before models.Webhook) (models.Webhook, error) {
					return outbox.Disable(tx, before.BusinessID, id, reason)
				})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "disabled by an operator", "`text` that the tenant reads as disabled_reason")
	return cmd
}

func newWebhookEnable(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "enable WEBHOOK", Short: "Send to an endpoint again",
		Long: `Send to a disabled or paused endpoint again, from the next event on, or to one that
its circuit breaker or a Retry-After blocks, at once. What failed meanwhile stays
failed: see txnctl webhook replay.`,
		Example: "  txnctl webhook enable wh_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.WebhookPrefix]("webhook", args[0])
			if err != nil {
				return err
			}
			settings, err := s.config()
			if err != nil {
				return err
			}
			// Whether an http endpoint may be used is the services' setting.
			store := webhook.NewStore(webhook.Options{AllowInsecure: settings.Webhooks.AllowInsecure})
			active := models.WebhookActive
			return s.changeWebhook(cmd.Context(), id, audit.WebhookEnabled,
				func(tx *gorm.DB, before models.Webhook) (models.Webhook, error) {
					return store.Update(tx, before.BusinessID, id, webhook.Patch{Status: &active})
				})
		},
	}
}

// webhookState is an endpoint's status as the audit log shows it.
type webhookState struct {
	Status models.WebhookStatus `json:"status"`
	Reason *string              `json:"disabled_reason"`
	// Breaker and BlockedUntil are left out where nothing blocks the endpoint.
	Breaker      string     `json:"breaker,omitempty"`
	BlockedUntil *wire.Time `json:"blocked_until,omitempty"`
}

// readWebhookState is what the audit log shows of an endpoint in this transaction.
func readWebhookState(tx *gorm.DB, w models.Webhook) (webhookState, error) {
	state := webhookState{Status: w.Status, Reason: w.DisabledReason}
	if w.Status != models.WebhookActive {
		return state, nil
	}
	health, err := webhook.ReadHealth(tx, w.BusinessID, w.ID)
	if err == nil && (health.Breaker != breakerClosed || health.BlockedUntil != nil) {
		state.Breaker, state.BlockedUntil = health.Breaker, health.BlockedUntil
	}
	return state, err
}

// breakerClosed is how the breaker of a sound endpoint is.
const breakerClosed = "closed"

// changeWebhook changes an endpoint's status, or lifts what blocks it, with its
// entry in the audit log if there was something to change.
func (s *session) changeWebhook(
	ctx context.Context, id models.WebhookID, action audit.Action,
	do func(tx *gorm.DB, before models.Webhook) (models.Webhook, error),
) error {
	return s.withDB(ctx, func(db *database.DB) error {
		business, err := webhook.OwnerOf(ctx, db, id)
		if err != nil {
			return err
		}
		var after models.Webhook
		err = db.InTx(ctx, func(tx *gorm.DB) error {
			// The first lock of whatever changes an endpoint; before is true under it.
			if err := outbox.LockFanOut(tx, business); err != nil {
				return err
			}
			before, err := webhook.Get(tx, business, id)
			if err != nil {
				return err
			}
			was, err := readWebhookState(tx, before)
			if err != nil {
				return err
			}
			if after, err = do(tx, before); err != nil {
				return err
			}
			is, err := readWebhookState(tx, after)
			if err != nil || reflect.DeepEqual(is, was) {
				return err
			}
			return audit.Append(ctx, tx, audit.Change{
				Business: business, Actor: s.operator(), Action: action, Target: id.String(), Before: was, After: is,
			})
		})
		if err != nil {
			return err
		}
		return printOne(s, webhookView, after)
	})
}
