package dev

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/txn-service/txn/cmd/txnctl/apiclient"
)

// The demo's money, in minor units (cents).
const (
	opening  = 100_000
	transfer = 1_250
)

// deliveryTimeout is how long the webhook of the transfer may take.
const deliveryTimeout = 30 * time.Second

// object is what the demo reads of the API's answers.
type object struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// ensureDemo makes two accounts with money, an endpoint and one transfer, unless
// an earlier start did. Every request carries an idempotency key that is the
// same at every start, so that a start that was cut off is simply repeated, and
// a restart moves no money.
func (d *stack) ensureDemo(ctx context.Context) error {
	c := apiclient.New(clientURL(d.listen), d.state.APIKey, 1)
	defer c.Close()
	if err := d.ensureWebhook(ctx, c); err != nil {
		return err
	}
	if err := d.ensureAccounts(ctx, c); err != nil {
		return err
	}
	return d.ensureTransfer(ctx, c)
}

func (d *stack) ensureAccounts(ctx context.Context, c *apiclient.Client) error {
	if len(d.state.Accounts) > 0 {
		return nil
	}
	d.progress("Creating two accounts and funding them …")
	var ids []string
	for _, name := range []string{"Alice", "Bob"} {
		var account, funding object
		_, err := c.Do(ctx, http.MethodPost, "/v1/accounts", "dev-account-"+name,
			map[string]any{"name": name, "currency": "USD"}, &account)
		if err != nil {
			return err
		}
		_, err = c.Do(ctx, http.MethodPost, "/v1/transactions", "dev-funding-"+name, map[string]any{
			"type": "credit", "amount": opening, "destination_account_id": account.ID, "description": "Opening balance",
		}, &funding)
		if err != nil {
			return err
		}
		ids = append(ids, account.ID)
	}
	d.state.Accounts = ids
	return d.state.save()
}

// ensureWebhook registers the receiver, or tells the API where it is now.
func (d *stack) ensureWebhook(ctx context.Context, c *apiclient.Client) error {
	if d.state.WebhookID != "" {
		registered, err := d.readdressWebhook(ctx, c)
		if err != nil || registered {
			return err
		}
	}
	d.progress("Registering the local webhook receiver …")
	var endpoint object
	// The secret is shown once: a start that lost it registers another endpoint.
	key := fmt.Sprintf("dev-webhook-%d", time.Now().UnixNano())
	_, err := c.Do(ctx, http.MethodPost, "/v1/webhooks", key,
		map[string]any{"url": d.receiver.url, "event_types": []string{"*"}, "description": "txnctl dev"}, &endpoint)
	if err != nil {
		return err
	}
	if err := d.receiver.trust(endpoint.Secret); err != nil {
		return err
	}
	d.state.WebhookID, d.state.WebhookSecret, d.state.WebhookURL = endpoint.ID, endpoint.Secret, d.receiver.url
	return d.state.save()
}

// readdressWebhook reports whether the endpoint is still there.
func (d *stack) readdressWebhook(ctx context.Context, c *apiclient.Client) (bool, error) {
	var endpoint object
	method, body := http.MethodGet, any(nil)
	if d.state.WebhookURL != d.receiver.url {
		method, body = http.MethodPatch, map[string]any{"url": d.receiver.url}
	}
	_, err := c.Do(ctx, method, "/v1/webhooks/"+d.state.WebhookID, "", body, &endpoint)
	var refusal *apiclient.RefusedError
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.state.WebhookURL = d.receiver.url
	return true, d.state.save()
}

func (d *stack) ensureTransfer(ctx context.Context, c *apiclient.Client) error {
	from, to := d.state.Accounts[0], d.state.Accounts[1]
	d.progress("Transferring %s over HTTP …", dollars(transfer))
	var moved object
	replayed, err := c.Do(ctx, http.MethodPost, "/v1/transactions", "dev-transfer", map[string]any{
		"type": "transfer", "amount": transfer, "source_account_id": from, "destination_account_id": to,
		"description": "The first transfer",
	}, &moved)
	if err != nil {
		return err
	}
	if d.state.Delivered {
		d.transferView = replayView(moved.ID, replayed)
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deliveryTimeout, errors.New("waited "+deliveryTimeout.String()))
	defer cancel()
	got, err := d.receiver.await(ctx, "transaction.created", moved.ID)
	if err != nil {
		return fmt.Errorf("%w; the dispatcher's log is dispatcher.log in %s", err, d.DataDir)
	}
	d.transferView = deliveryView(moved.ID, got)
	d.state.Delivered = true
	return d.state.save()
}

func dollars(cents int) string { return fmt.Sprintf("%d.%02d USD", cents/100, cents%100) }
