package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

const (
	scopeReplayBusiness models.IdempotencyScope = "replay.create"
	scopeReplayWebhook  models.IdempotencyScope = "webhook.replay"
	scopeReplayEvent    models.IdempotencyScope = "webhook_event.replay"
	scopeReplayDelivery models.IdempotencyScope = "webhook_delivery.replay"
	scopeCancelReplay   models.IdempotencyScope = "replay.cancel"
)

// replayRange is the part of a body that says which deliveries are meant.
type replayRange struct {
	Since      *string `json:"since,omitzero"`
	Until      *string `json:"until,omitzero"`
	EventTypes *texts  `json:"event_types,omitzero"`
	FailedOnly bool    `json:"failed_only,omitzero"`
	// Rate is in deliveries per second.
	Rate *int `json:"rate,omitzero"`
}

// apply adds the range to a selection and returns the rate, 0 for the default.
func (r *replayRange) apply(s *outbox.ReplaySelection) (rate float64, err error) {
	since, err := parseTime("since", r.Since)
	if err != nil {
		return 0, err
	}
	until, err := parseTime("until", r.Until)
	if err != nil {
		return 0, err
	}
	s.Since, s.Until, s.FailedOnly = orZero(since), orZero(until), r.FailedOnly
	if r.EventTypes != nil {
		if s.EventTypes = *r.EventTypes; len(s.EventTypes) == 0 {
			return 0, errs.Invalid("event_types", "must name at least one event type; leave it out for all")
		}
	}
	if r.Rate != nil && *r.Rate < 1 {
		return 0, errs.Invalid("rate", "must be from 1 to %d a second", webhook.MaxReplayRate)
	}
	return float64(orZero(r.Rate)), nil
}

// webhookReplay is the body of POST /v1/webhooks/{id}/replay; it may be left out.
type webhookReplay struct {
	Keyed
	replayRange
}

// replayWebhook answers POST /v1/webhooks/{id}/replay: what failed on the
// endpoint, and with `since` what it never had.
func (a *API) replayWebhook(c *gin.Context) error {
	id, err := pathID[models.WebhookPrefix](c, "id")
	if err != nil {
		return err
	}
	var body webhookReplay
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	selection := outbox.ReplaySelection{BusinessID: businessOf(c), WebhookID: id}
	return a.replay(c, scopeReplayWebhook, &body, &selection, &body.replayRange, id.String())
}

// businessReplay is the body of POST /v1/webhook-replays; it may be left out.
type businessReplay struct {
	Keyed
	replayRange
	WebhookID *models.WebhookID `json:"webhook_id,omitzero"`
}

// createReplay answers POST /v1/webhook-replays: what failed on any endpoint of
// the business, or as replayWebhook with `webhook_id`.
func (a *API) createReplay(c *gin.Context) error {
	var body businessReplay
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	if err := checkNamed(body.WebhookID); err != nil {
		return err
	}
	selection := outbox.ReplaySelection{BusinessID: businessOf(c), WebhookID: orZero(body.WebhookID)}
	return a.replay(c, scopeReplayBusiness, &body, &selection, &body.replayRange)
}

// eventReplay is the body of POST /v1/webhook-events/{id}/replay; it may be left
// out.
type eventReplay struct {
	Keyed
	WebhookID *models.WebhookID `json:"webhook_id,omitzero"`
}

// replayEvent answers POST /v1/webhook-events/{id}/replay: the event once more,
// to one endpoint or to all that subscribe to it.
func (a *API) replayEvent(c *gin.Context) error {
	id, err := pathID[models.EventPrefix](c, "id")
	if err != nil {
		return err
	}
	var body eventReplay
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	if err := checkNamed(body.WebhookID); err != nil {
		return err
	}
	selection := outbox.ReplaySelection{BusinessID: businessOf(c), EventID: id, WebhookID: orZero(body.WebhookID)}
	return a.replay(c, scopeReplayEvent, &body, &selection, nil, id.String())
}

// checkNamed refuses the all-zero id, which a selection would take for every
// endpoint.
func checkNamed(id *models.WebhookID) error {
	if id != nil && id.IsZero() {
		return errs.New(errs.NotFound, "no such webhook")
	}
	return nil
}

// replayDelivery answers POST /v1/webhook-deliveries/{id}/replay.
func (a *API) replayDelivery(c *gin.Context) error {
	id, err := pathID[models.DeliveryPrefix](c, "id")
	if err != nil {
		return err
	}
	var body Keyed
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	selection := outbox.ReplaySelection{BusinessID: businessOf(c), DeliveryID: id}
	return a.replay(c, scopeReplayDelivery, &body, &selection, nil, id.String())
}

// replay answers a POST that replays: 201 with the replay, or with dry_run 200
// with what it would find. within is the part of the body that narrows.
func (a *API) replay(
	c *gin.Context, scope models.IdempotencyScope, body keyedBody,
	selection *outbox.ReplaySelection, within *replayRange, pathIDs ...string,
) error {
	q := newQuery(c.Request)
	dryRun := q.boolean("dry_run")
	if err := q.Err(); err != nil {
		return err
	}
	if dryRun {
		return a.countReplay(c, body, selection, within)
	}
	return a.once(c, scope, body, func(tx *gorm.DB) (idempotency.Answer, error) {
		rate, err := rateWithin(within, selection)
		if err != nil {
			return idempotency.Answer{}, err
		}
		row, err := webhook.StartReplay(tx, *selection, rate, nil)
		if err != nil {
			return idempotency.Answer{}, err
		}
		shape := wire.NewReplay(row)
		err = audit.Append(c.Request.Context(), tx, audit.Change{
			Business: row.BusinessID, Actor: actorOf(c),
			Action: audit.WebhookReplayed, Target: replayTarget(selection), After: shape,
		})
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answer(http.StatusCreated, shape)
	}, pathIDs...)
}

func (a *API) countReplay(c *gin.Context, body keyedBody, selection *outbox.ReplaySelection, within *replayRange) error {
	// A dry run stores no key, but a program that forgets it should learn so here.
	if _, err := takeKey(c, body.key()); err != nil {
		return err
	}
	rate, err := rateWithin(within, selection)
	if err != nil {
		return err
	}
	count, err := webhook.CountReplay(a.DB.Gorm.WithContext(c.Request.Context()), *selection, rate)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewReplayDryRun(count))
}

func rateWithin(within *replayRange, selection *outbox.ReplaySelection) (float64, error) {
	if within == nil {
		return 0, nil
	}
	return within.apply(selection)
}

// replayTarget is what the audit log calls a selection.
func replayTarget(s *outbox.ReplaySelection) string {
	switch {
	case !s.DeliveryID.IsZero():
		return s.DeliveryID.String()
	case !s.EventID.IsZero():
		return s.EventID.String()
	case !s.WebhookID.IsZero():
		return s.WebhookID.String()
	default:
		return s.BusinessID.String()
	}
}

// listReplays answers GET /v1/webhook-replays, newest first.
func (a *API) listReplays(c *gin.Context) error {
	q := newQuery(c.Request)
	p, after := pageByID[models.ReplayPrefix](q, "replays")
	status := models.ReplayStatus(orZero(q.oneOf("status", string(models.ReplayPending), string(models.ReplayRunning),
		string(models.ReplayCompleted), string(models.ReplayFailed), string(models.ReplayCancelled))))
	if err := q.Err(); err != nil {
		return err
	}
	rows, err := outbox.ListReplays(a.DB.Gorm.WithContext(c.Request.Context()), businessOf(c), status, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, rows, wire.NewReplay, func(r models.Replay) []byte { return positionID(r.ID) }))
}

// showReplay answers GET /v1/webhook-replays/{id}: how far it is.
func (a *API) showReplay(c *gin.Context) error {
	id, err := pathID[models.ReplayPrefix](c, "id")
	if err != nil {
		return err
	}
	row, err := outbox.FindReplay(a.DB.Gorm.WithContext(c.Request.Context()), businessOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewReplay(row))
}

// cancelReplay answers POST /v1/webhook-replays/{id}/cancel.
func (a *API) cancelReplay(c *gin.Context) error {
	id, err := pathID[models.ReplayPrefix](c, "id")
	if err != nil {
		return err
	}
	var body Keyed
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	return a.once(c, scopeCancelReplay, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		before, err := outbox.FindReplay(tx, businessOf(c), id)
		if err != nil {
			return idempotency.Answer{}, err
		}
		row, err := outbox.CancelReplay(tx, businessOf(c), id)
		if err != nil {
			return idempotency.Answer{}, err
		}
		shape := wire.NewReplay(row)
		if before.Status == models.ReplayCancelled {
			return answer(http.StatusOK, shape) // cancelling it again changes nothing
		}
		err = audit.Append(c.Request.Context(), tx, audit.Change{
			Business: row.BusinessID, Actor: actorOf(c), Action: audit.ReplayCancelled,
			Target: id.String(), Before: wire.NewReplay(before), After: shape,
		})
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answer(http.StatusOK, shape)
	}, id.String())
}
