package bench

import (
	"math/rand/v2"
	"strconv"
)

// movement is a transaction as the API takes it. Without a currency it is in that
// of its accounts.
type movement struct {
	Type        string `json:"type"`
	Amount      int64  `json:"amount"`
	Source      string `json:"source_account_id,omitempty"`
	Destination string `json:"destination_account_id,omitempty"`
}

// batch is several movements, all or none.
type batch struct {
	Transactions []movement `json:"transactions"`
}

// request is one of the load's, with what it moves.
type request struct {
	path, key string
	body      any
	moves     []move
}

// move says from and to which account, by position. The amount is always 1: it
// makes no difference to the service, and the money lasts.
type move struct{ from, to int }

// request makes the n-th request of the load.
func (l *load) request(n int64) request {
	key := l.runID + "/" + strconv.FormatInt(n, 10)
	if l.options.Mode != Batch {
		m := l.move()
		return request{path: "/v1/transactions", key: key, body: l.movement(m), moves: []move{m}}
	}
	r := request{path: "/v1/transactions/batch", key: key, moves: make([]move, l.options.BatchSize)}
	body := batch{Transactions: make([]movement, l.options.BatchSize)}
	for i := range r.moves {
		r.moves[i] = l.move()
		body.Transactions[i] = l.movement(r.moves[i])
	}
	r.body = body
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

func (l *load) movement(m move) movement {
	return movement{Type: "transfer", Amount: 1, Source: l.accounts.ids[m.from], Destination: l.accounts.ids[m.to]}
}
