// Package client calls the txn API from Go: accounts, movements of money, holds, and
// the webhooks that tell of them. It links none of the service.
//
//	api, err := client.New("https://txn.example.com", os.Getenv("TXN_API_KEY"))
//	if err != nil {
//		return err
//	}
//	payment, err := api.Transactions.Create(ctx, client.NewTransaction{
//		Type: client.TransactionTypeTransfer, Amount: 1250, // $12.50
//		SourceAccountID: alice, DestinationAccountID: bob, Reference: "order-1042",
//	}, client.WithIdempotencyKey("order-1042"))
//	if client.IsCode(err, client.CodeInsufficientFunds) {
//		// Alice has too little; nothing has moved.
//	}
//
// # Money
//
// Amounts and balances are int64 numbers of minor units: 1250 in USD is $12.50, in JPY
// ¥1250. [Account.CurrencyExponent] says how many decimals the currency has.
//
// # Retries and idempotency keys
//
// Every call that makes something carries an idempotency key. The client makes a random
// one unless the caller gives it with [WithIdempotencyKey], and keeps it while it
// retries, so that a retry never moves money twice. Give a key of your own, made of what
// the money is for and stored before the call, wherever your program may start over:
// then the call is safe across crashes of your program, too.
//
// A call is tried again after what may pass: broken connections, 429, and answers
// whose [Error] is Retryable. The waits double from a quarter of a second, or last as
// long as the service asks for, and end with ctx; see [WithRetries] and [WithMaxWait].
//
// # Errors
//
// A refusal is an [*Error] with a [Code]; it changed nothing, except that
// [CodeUnavailable] may leave the outcome unknown. Repeat such a call with the same key,
// and you learn what happened. Any other error means that there was no clear answer.
//
// # Requests and answers
//
// In requests, zero values are left out; a field where null has a meaning of its own is
// a [Nullable], and one where zero has is a pointer. In answers, a pointer is nil where
// the API says null. New fields and values may appear in answers at any time.
//
// # Lists
//
// Every list has List for one page, and All for everything, which asks for pages while
// it is ranged over:
//
//	for account, err := range api.Accounts.All(ctx, client.ListAccountsParams{Currency: "USD"}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// # Webhooks
//
// [ReadWebhook] returns the event of a webhook that the service signed, and refuses all
// others:
//
//	event, err := client.ReadWebhook(request, secret)
//	if err != nil {
//		http.Error(w, "", http.StatusUnauthorized)
//		return
//	}
//	switch data := event.Data.(type) {
//	case *client.Transaction:
//		…
//	}
package client

//go:generate go -C internal/gen run .
