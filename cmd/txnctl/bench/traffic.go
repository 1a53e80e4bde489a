package bench

import (
	"math/rand/v2"
	"strconv"

	"github.com/txn-service/txn/pkg/client"
)

// request is one of the load's: a movement, or a batch of them.
type request struct {
	key       string
	movements []client.NewTransaction
	moves     []move
}

// move says from and to which account, by position. The amount is always 1: it
// makes no difference to the service, and the money lasts.
type move struct{ from, to int }

// request makes the n-th request of the load.
func (l *load) request(n int64) request {
	size := 1
	if l.options.Mode == Batch {
		size = l.options.BatchSize
	}
	r := request{
		key:       l.runID + "/" + strconv.FormatInt(n, 10),
		movements: make([]client.NewTransaction, size), moves: make([]move, size),
	}
	for i := range r.moves {
		r.moves[i] = l.move()
		r.movements[i] = l.movement(r.moves[i])
	}
	return r
}

func (l *load) move() move {
	accounts := len(l.accounts.ids)
	switch l.options.Mode {
	case Hot:
		return move{from: 0, to: 1 + rand.IntN(accounts-1)}
	case Pair:
		from := rand.IntN(2)
		return move{from: from, to: 1 - from}
	default:
		from, to := rand.IntN(accounts), rand.IntN(accounts-1)
		if to >= from {
			to++
		}
		return move{from: from, to: to}
	}
}

func (l *load) movement(m move) client.NewTransaction {
	return client.NewTransaction{
		Type: client.TransactionTypeTransfer, Amount: 1,
		SourceAccountID: l.accounts.ids[m.from], DestinationAccountID: l.accounts.ids[m.to],
	}
}
