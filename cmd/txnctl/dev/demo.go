package dev

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/txn-service/txn/pkg/client"
)

// The demo's money, in minor units (cents).
const (
	opening  = 100_000
	transfer = 1_250
)

// deliveryTimeout is how long the webhook of the transfer may take.
const deliveryTimeout = 30 * time.Second

// ensureDemo makes two accounts with money, an endpoint and one transfer, unless
// an earlier start did. Every request carries an idempotency key that is the
// same at every start, so that a start that was cut off is simply repeated, and
// a restart moves no money.
func (d *stack) ensureDemo(ctx context.Context) error {
	c, err := client.New(clientURL(d.listen), d.state.APIKey)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := d.ensureWebhook(ctx, c); err != nil {
		return err
	}
	if err := d.ensureAccounts(ctx, c); err != nil {
		return err
	}
	return d.ensureTransfer(ctx, c)
}

func (d *stack) ensureAccounts(ctx context.Context, c *client.Client) error {
	if len(d.state.Accounts) > 0 {
		return nil
	}
	d.progress("Creating two accounts and funding them …")
	var ids []string
	for _, name := range []string{"Alice", "Bob"} {
		account, err := c.Accounts.Create(ctx, client.NewAccount{Name: name, Currency: "USD"},
			client.WithIdempotencyKey("dev-account-"+name))
		if err != nil {
			return err
		}
		_, err = c.Transactions.Create(ctx, client.NewTransaction{
			Type: client.TransactionTypeCredit, Amount: opening, DestinationAccountID: account.ID, Description: "Opening balance",
		}, client.WithIdempotencyKey("dev-funding-"+name))
		if err != nil {
			return err
		}
		ids = append(ids, account.ID)
	}
	d.state.Accounts = ids
	return d.state.save()
}

// ensureWebhook registers the receiver, or tells the API where it is now.
func (d *stack) ensureWebhook(ctx context.Context, c *client.Client) error {
	if d.state.WebhookID != "" {
		registered, err := d.readdressWebhook(ctx, c)
		if err != nil || registered {
			return err
		}
	}
	d.progress("Registering the local webhook receiver …")
	// The secret is shown once: a start that lost it registers another endpoint, under
	// another key.
	endpoint, err := c.Webhooks.Create(ctx, client.NewWebhook{
		URL: d.receiver.url, EventTypes: []client.EventType{client.EventTypeAll}, Description: "txnctl dev",
	})
	if err != nil {
		return err
	}
	d.receiver.trust(endpoint.Secret)
	d.state.WebhookID, d.state.WebhookSecret, d.state.WebhookURL = endpoint.ID, endpoint.Secret, d.receiver.url
	return d.state.save()
}

// readdressWebhook reports whether the endpoint is still there.
func (d *stack) readdressWebhook(ctx context.Context, c *client.Client) (bool, error) {
	var err error
	if d.state.WebhookURL == d.receiver.url {
		_, err = c.Webhooks.Get(ctx, d.state.WebhookID)
	} else {
		_, err = c.Webhooks.Update(ctx, d.state.WebhookID, client.WebhookChange{URL: d.receiver.url})
	}
	if client.IsCode(err, client.CodeNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.state.WebhookURL = d.receiver.url
	return true, d.state.save()
}

func (d *stack) ensureTransfer(ctx context.Context, c *client.Client) error {
	from, to := d.state.Accounts[0], d.state.Accounts[1]
	d.progress("Transferring %s over HTTP …", dollars(transfer))
	var response client.Response
	moved, err := c.Transactions.Create(ctx, client.NewTransaction{
		Type: client.TransactionTypeTransfer, Amount: transfer, SourceAccountID: from, DestinationAccountID: to,
		Description: "The first transfer",
	}, client.WithIdempotencyKey("dev-transfer"), client.WithResponse(&response))
	if err != nil {
		return err
	}
	if d.state.Delivered {
		d.transferView = replayView(moved.ID, response.Replayed)
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deliveryTimeout, errors.New("waited "+deliveryTimeout.String()))
	defer cancel()
	got, err := d.receiver.await(ctx, client.EventTypeTransactionCreated, moved.ID)
	if err != nil {
		return fmt.Errorf("%w; the dispatcher's log is dispatcher.log in %s", err, d.DataDir)
	}
	d.transferView = deliveryView(moved.ID, got)
	d.state.Delivered = true
	return d.state.save()
}

func dollars(cents int) string { return fmt.Sprintf("%d.%02d USD", cents/100, cents%100) }
