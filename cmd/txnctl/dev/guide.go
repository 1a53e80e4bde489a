package dev

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readiness is the one line of --ready-json.
type readiness struct {
	APIURL      string   `json:"api_url"`
	APIKey      string   `json:"api_key"`
	BusinessID  string   `json:"business_id"`
	Accounts    []string `json:"accounts"`
	DatabaseURL string   `json:"database_url"`
}

// showReady tells that everything is up, and what to do with it.
func (d *stack) showReady() error {
	if d.ReadyJSON {
		line, err := json.Marshal(readiness{
			APIURL: clientURL(d.listen), APIKey: d.state.APIKey, BusinessID: d.state.BusinessID.String(),
			Accounts: d.state.Accounts, DatabaseURL: d.databaseURL,
		})
		if err != nil {
			return fmt.Errorf("encoding the ready line: %w", err)
		}
		_, err = fmt.Fprintf(d.Out, "%s\n", line)
		return err
	}
	_, err := fmt.Fprint(d.Out, d.guide())
	return err
}

func deliveryView(id string, got webhook) string {
	return fmt.Sprintf(`Moved %s from Alice to Bob: %s
The webhook of it arrived, and its signature is good:

    webhook-id: %s
    webhook-timestamp: %s
    webhook-signature: %s

    %s
`, dollars(transfer), id, got.id, got.timestamp, got.signature, got.body)
}

func replayView(id string, replayed bool) string {
	if !replayed {
		return fmt.Sprintf("Moved %s from Alice to Bob: %s\n", dollars(transfer), id)
	}
	return fmt.Sprintf(`Sent the first start's transfer again, with its idempotency key: the answer was
replayed and no money moved (%s). Its webhook was delivered and verified then.
`, id)
}

func (d *stack) guide() string {
	url, from, to := clientURL(d.listen), d.state.Accounts[0], d.state.Accounts[1]
	limit := "off (--rate-limit 20-M is what production has)"
	if d.RateLimit != "" {
		limit = d.RateLimit
	}
	var text strings.Builder
	fmt.Fprintf(&text, `
%s
txn is up.

    API          %s
    Business     %s
    API key      %s
    Accounts     %s (Alice), %s (Bob)
    Webhooks     to %s, printed here as they arrive
    Database     %s
    Rate limit   %s
    Data, logs   %s

In another terminal, for bin/txnctl and for the examples of README.md and docs/guide.md:

. %s

Or as it is:

`, d.transferView, url, d.state.BusinessID, d.state.APIKey, from, to, d.receiver.url, d.databaseURL, limit, d.DataDir,
		quote(d.environmentFile()))
	auth := fmt.Sprintf(`-H 'Authorization: Bearer %s'`, d.state.APIKey)
	fmt.Fprintf(&text, "curl %s/v1/accounts/%s/balance %s\n\n", url, from, auth)
	fmt.Fprintf(&text, "curl %s/v1/transactions %s \\\n  -H 'Content-Type: application/json' -H \"Idempotency-Key: $(date +%%s)\" \\\n"+
		"  -d '{\"type\":\"transfer\",\"amount\":500,\"source_account_id\":\"%s\",\"destination_account_id\":\"%s\"}'\n\n",
		url, auth, from, to)
	fmt.Fprintf(&text, "curl %s/v1/accounts/%s/entries %s\n\n", url, to, auth)
	fmt.Fprintf(&text, "curl %s/v1/webhook-deliveries %s\n\nCtrl-C stops everything; the data stay.\n", url, auth)
	return text.String()
}
