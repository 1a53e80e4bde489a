package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/txn-service/txn/pkg/client"
)

// Money is moved from one account to another.
func Example() {
	ctx := context.Background()
	api, err := client.New(os.Getenv("TXN_URL"), os.Getenv("TXN_API_KEY"))
	if err != nil {
		panic(err)
	}
	defer api.Close()

	alice, err := api.Accounts.Create(ctx, client.NewAccount{Name: "Alice", Currency: "USD"})
	if err != nil {
		panic(err)
	}
	bob, err := api.Accounts.Create(ctx, client.NewAccount{Name: "Bob", Currency: "USD"})
	if err != nil {
		panic(err)
	}
	_, err = api.Transactions.Create(ctx, client.NewTransaction{
		Type: client.TransactionTypeCredit, Amount: 10_000, DestinationAccountID: alice.ID, Description: "Top-up by card",
	})
	if err != nil {
		panic(err)
	}
	payment, err := api.Transactions.Create(ctx, client.NewTransaction{
		Type: client.TransactionTypeTransfer, Amount: 1250, SourceAccountID: alice.ID, DestinationAccountID: bob.ID,
	})
	if err != nil {
		panic(err)
	}
	for _, entry := range payment.Entries {
		fmt.Println(entry.Amount, "leaves", entry.BalanceAfter)
	}
	// Output:
	// -1250 leaves 8750
	// 1250 leaves 1250
}

// A key that is made of what the money is for makes a call safe that a program repeats
// after it was restarted.
func ExampleWithIdempotencyKey() {
	ctx := context.Background()
	api, account := exampleAccount("Wallet", 0)
	defer api.Close()
	topUp := client.NewTransaction{Type: client.TransactionTypeCredit, Amount: 500, DestinationAccountID: account}
	for range 2 {
		var response client.Response
		made, err := api.Transactions.Create(ctx, topUp, client.WithIdempotencyKey("topup-2931"), client.WithResponse(&response))
		if err != nil {
			panic(err)
		}
		fmt.Println("balance", made.Entries[0].BalanceAfter, "replayed", response.Replayed)
	}
	// Output:
	// balance 500 replayed false
	// balance 500 replayed true
}

func ExampleIsCode() {
	api, account := exampleAccount("Wallet", 100)
	defer api.Close()
	_, err := api.Transactions.Create(context.Background(), client.NewTransaction{
		Type: client.TransactionTypeDebit, Amount: 101, SourceAccountID: account,
	})
	if client.IsCode(err, client.CodeInsufficientFunds) {
		fmt.Println("too little money")
	}
	var refusal *client.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Status, refusal.Retryable)
	}
	// Output:
	// too little money
	// 422 false
}

func ExampleAccountService_All() {
	api, _ := exampleAccount("Savings", 0)
	defer api.Close()
	for account, err := range api.Accounts.All(context.Background(), client.ListAccountsParams{Reference: "Savings"}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(account.Name, account.Balance, account.Currency)
	}
	// Output: Savings 0 USD
}

func ExampleAccountService_Statement() {
	api, account := exampleAccount("Shop", 700)
	defer api.Close()
	for entry, err := range api.Accounts.Statement(context.Background(), account) {
		if err != nil {
			panic(err)
		}
		fmt.Println(entry.Sequence, entry.Amount, entry.BalanceAfter)
	}
	// Output: 1 700 700
}

func ExampleHoldService_Capture() {
	ctx := context.Background()
	api, account := exampleAccount("Guest", 5000)
	defer api.Close()
	hold, err := api.Holds.Create(ctx, client.NewHold{AccountID: account, Amount: 4000, Description: "Table for four"})
	if err != nil {
		panic(err)
	}
	// The bill was less: what is left of the hold is given back.
	taken, err := api.Holds.Capture(ctx, hold.ID, client.NewCapture{Amount: new(int64(3000)), Final: true})
	if err != nil {
		panic(err)
	}
	balance, err := api.Accounts.Balance(ctx, account)
	if err != nil {
		panic(err)
	}
	fmt.Println("took", taken.Amount, "available", balance.Available)
	// Output: took 3000 available 2000
}

func ExampleTransactionService_CreateBatch() {
	api, account := exampleAccount("Payroll", 100)
	defer api.Close()
	_, err := api.Transactions.CreateBatch(context.Background(), []client.NewTransaction{
		{Type: client.TransactionTypeDebit, Amount: 60, SourceAccountID: account},
		{Type: client.TransactionTypeDebit, Amount: 60, SourceAccountID: account},
	})
	var refusal *client.Error
	if errors.As(err, &refusal) {
		fmt.Println("nothing was paid: item", *refusal.Index, "has", refusal.Code)
	}
	// Output: nothing was paid: item 1 has insufficient_funds
}

func ExampleValue() {
	api, account := exampleAccount("Overdraft", 0)
	defer api.Close()
	changed, err := api.Accounts.Update(context.Background(), account, client.AccountChange{
		OverdraftLimit: client.Value[int64](5000),
		Reference:      client.Null[string](), // none any more; the name stays as it is
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(changed.Name, *changed.OverdraftLimit, changed.Reference == nil)
	// Output: Overdraft 5000 true
}

// A receiver verifies what it gets, and answers before the service gives up.
func ExampleReadWebhook() {
	ctx := context.Background()
	api, account := exampleAccount("Receiver", 0)
	defer api.Close()

	receiver := httptest.NewUnstartedServer(nil)
	endpoint, err := api.Webhooks.Create(ctx, client.NewWebhook{
		URL:        "http://" + receiver.Listener.Addr().String(),
		EventTypes: []client.EventType{client.EventTypeTransactionCreated},
	})
	if err != nil {
		panic(err)
	}
	credits := make(chan int64, 1)
	receiver.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := client.ReadWebhook(r, endpoint.Secret)
		if err != nil {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		switch data := event.Data.(type) {
		case *client.Transaction:
			if data.DestinationAccountID != nil && *data.DestinationAccountID == account {
				credits <- data.Amount
			}
		default: // not what this receiver is for
		}
	})
	receiver.Start()
	defer receiver.Close()

	_, err = api.Transactions.Create(ctx, client.NewTransaction{
		Type: client.TransactionTypeCredit, Amount: 1250, DestinationAccountID: account,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("received", <-credits)
	if err := api.Webhooks.Delete(ctx, endpoint.ID); err != nil {
		panic(err)
	}
	// Output: received 1250
}

// exampleAccount returns a client, and an account with that much money whose name is its
// reference, too.
func exampleAccount(name string, balance int64) (api *client.Client, id string) {
	ctx := context.Background()
	api, err := client.New(os.Getenv("TXN_URL"), os.Getenv("TXN_API_KEY"))
	if err != nil {
		panic(err)
	}
	account, err := api.Accounts.Create(ctx, client.NewAccount{Name: name, Currency: "USD", Reference: name})
	if client.IsCode(err, client.CodeAlreadyExists) { // the example of another is about it, too
		account, err = api.Accounts.Create(ctx, client.NewAccount{Name: name, Currency: "USD"})
	}
	if err != nil {
		panic(err)
	}
	if balance > 0 {
		_, err = api.Transactions.Create(ctx, client.NewTransaction{
			Type: client.TransactionTypeCredit, Amount: balance, DestinationAccountID: account.ID,
		})
		if err != nil {
			panic(err)
		}
	}
	return api, account.ID
}
