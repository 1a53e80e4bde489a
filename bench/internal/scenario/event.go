package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// bodySize is the size of every event in a backlog and of what River posts.
const bodySize = 1024

// makeEvents returns events of transfers, of the businesses in turn, whose
// bodies are padded to bodySize by the transaction's description.
func makeEvents(businesses []models.BusinessID, n int) ([]models.Event, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	events := make([]models.Event, n)
	for i := range events {
		business := businesses[i%len(businesses)]
		transaction := newEventTransaction(now)
		event, err := wire.NewEvent(business, models.EventTransactionCreated, now, transaction)
		if err != nil {
			return nil, err
		}
		padding := bodySize - len(event.Body)
		if padding < 0 {
			return nil, fmt.Errorf("an event has %d bytes, more than %d", len(event.Body), bodySize)
		}
		*transaction.Description = strings.Repeat("x", padding)
		if events[i], err = wire.NewEvent(business, models.EventTransactionCreated, now, transaction); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func newEventTransaction(now time.Time) wire.Transaction {
	source, destination := models.NewID[models.AccountPrefix](), models.NewID[models.AccountPrefix]()
	return wire.Transaction{
		ID: models.NewID[models.TransactionPrefix](), Type: models.Transfer, Amount: 1, Currency: currency,
		SourceAccountID: &source, DestinationAccountID: &destination, Description: new(string),
		Metadata: map[string]string{}, IdempotencyKey: "backlog", CreatedAt: wire.Time(now),
		Entries: []wire.Entry{
			{AccountID: source, Sequence: 2, Amount: -1, BalanceAfter: funds - 1},
			{AccountID: destination, Sequence: 2, Amount: 1, BalanceAfter: funds + 1},
		},
	}
}
