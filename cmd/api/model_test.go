package main

import (
	"fmt"
	"maps"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"
)

// The reference model: what a ledger of a few accounts does, one operation
// after the other. Everything that the service answers, concurrently, over two
// processes that are killed and a PostgreSQL that is restarted, must be explained
// by some order of the operations that respects real time (linearizability).

const modelAccounts = 3

// action is one operation of a random history. Hold and Movement refer to
// earlier operations by their number.
type action struct {
	Number   int
	Kind     string
	From, To int
	Amount   int64
	Target   int
	Final    bool
	// Items are the movements of an atomic batch.
	Items []action
}

// reply is what the model and the service say about an action: a code ("ok" or
// an error's) and the balance, version and held sum that it left behind, where
// the answer shows them.
type reply struct {
	Code string
	// After lists version and balance of each entry.
	After string
}

// state is the model's whole state. It is replaced, never changed.
type state struct {
	balance, held, version [modelAccounts]int64
	holds                  map[int]heldMoney
	moved                  map[int]movedMoney
}

type heldMoney struct {
	from, to int
	left     int64
	pending  bool
}

type movedMoney struct {
	from, to int // -1 is outside
	left     int64
}

func (s state) clone() state {
	s.holds, s.moved = maps.Clone(s.holds), maps.Clone(s.moved)
	return s
}

func (s state) equal(o state) bool {
	return s.balance == o.balance && s.held == o.held && s.version == o.version &&
		maps.Equal(s.holds, o.holds) && maps.Equal(s.moved, o.moved)
}

const outside = -1

// move takes or refuses an amount between two accounts, either of which may be
// outside; free says that the amount is held money.
func (s *state) move(from, to int, amount int64, free bool) (string, string) {
	after := ""
	if from != outside {
		if !free && s.balance[from]-s.held[from] < amount {
			return "insufficient_funds", ""
		}
		s.balance[from] -= amount
		s.version[from]++
		after += fmt.Sprintf("%d:%d ", s.version[from], s.balance[from])
	}
	if to != outside {
		s.balance[to] += amount
		s.version[to]++
		after += fmt.Sprintf("%d:%d ", s.version[to], s.balance[to])
	}
	return "ok", after
}

// apply is the model.
func apply(before state, a action) (state, reply) {
	s := before.clone()
	switch a.Kind {
	case "move":
		code, after := s.move(a.From, a.To, a.Amount, false)
		if code != "ok" {
			return before, reply{Code: code}
		}
		s.moved[a.Number] = movedMoney{a.From, a.To, a.Amount}
		return s, reply{code, after}
	case "batch":
		all := ""
		for _, item := range a.Items {
			code, after := s.move(item.From, item.To, item.Amount, false)
			if code != "ok" {
				return before, reply{Code: code}
			}
			all += after
		}
		return s, reply{"ok", all}
	case "hold":
		if s.balance[a.From]-s.held[a.From] < a.Amount {
			return before, reply{Code: "insufficient_funds"}
		}
		s.held[a.From] += a.Amount
		s.holds[a.Number] = heldMoney{a.From, a.To, a.Amount, true}
		return s, reply{Code: "ok"}
	case "capture":
		return s.capture(before, a)
	case "read":
		return s, reply{"ok", fmt.Sprint(s.balance, s.held, s.version)}
	case "void":
		h, known := s.holds[a.Target]
		if !known {
			return before, reply{Code: "not_found"}
		}
		if !h.pending {
			return before, reply{Code: "invalid_state"}
		}
		s.held[h.from] -= h.left
		s.holds[a.Target] = heldMoney{h.from, h.to, h.left, false}
		return s, reply{Code: "ok"}
	default: // reverse
		return s.reverse(before, a)
	}
}

func (s state) capture(before state, a action) (state, reply) {
	h, known := s.holds[a.Target]
	switch {
	case !known:
		return before, reply{Code: "not_found"}
	case !h.pending:
		return before, reply{Code: "invalid_state"}
	case a.Amount > h.left:
		return before, reply{Code: "validation_failed"}
	}
	_, after := s.move(h.from, h.to, a.Amount, true)
	s.held[h.from] -= a.Amount
	h.left -= a.Amount
	if a.Final {
		s.held[h.from] -= h.left
	}
	h.pending = h.left > 0 && !a.Final
	s.holds[a.Target] = h
	return s, reply{"ok", after}
}

func (s state) reverse(before state, a action) (state, reply) {
	m, known := s.moved[a.Target]
	switch {
	case !known:
		return before, reply{Code: "not_found"}
	case a.Amount > m.left:
		return before, reply{Code: "validation_failed"}
	}
	code, after := s.move(m.to, m.from, a.Amount, false)
	if code != "ok" {
		return before, reply{Code: code}
	}
	m.left -= a.Amount
	s.moved[a.Target] = m
	return s, reply{code, after}
}

var model = porcupine.Model{
	Init: func() any {
		return state{holds: map[int]heldMoney{}, moved: map[int]movedMoney{}}
	},
	Step: func(s, input, output any) (bool, any) {
		after, want := apply(s.(state), input.(action))
		return want == output.(reply), after
	},
	Equal: func(a, b any) bool { return a.(state).equal(b.(state)) },
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v → %+v", input, output)
	},
}

// history draws what a few concurrent clients do.
var history = rapid.Custom(func(t *rapid.T) [][]action {
	clients := make([][]action, rapid.IntRange(2, 5).Draw(t, "clients"))
	for number := range rapid.IntRange(15, 50).Draw(t, "operations") {
		a := randomAction(t, number)
		if number < modelAccounts { // something to move
			a = action{Kind: "move", From: outside, To: number, Amount: 100}
		}
		a.Number = number + 1
		client := number % len(clients)
		clients[client] = append(clients[client], a)
	}
	return clients
})

func randomAction(t *rapid.T, earlier int) action {
	amount := rapid.Int64Range(1, 60)
	target := rapid.IntRange(0, earlier)
	switch kind := rapid.SampledFrom([]string{
		"move", "move", "move", "hold", "hold", "capture", "capture", "void", "reverse", "batch",
	}).Draw(t, "kind"); kind {
	case "move":
		return randomMove(t)
	case "hold":
		a := randomMove(t)
		if a.From == outside {
			a.From, a.To = a.To, outside
		}
		a.Kind = kind
		return a
	case "batch":
		a := action{Kind: kind}
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			a.Items = append(a.Items, randomMove(t))
		}
		return a
	default:
		return action{Kind: kind, Target: target.Draw(t, "target"), Amount: amount.Draw(t, "amount"), Final: rapid.Bool().Draw(t, "final")}
	}
}

func randomMove(t *rapid.T) action {
	side := rapid.IntRange(outside, modelAccounts-1)
	from := side.Draw(t, "from")
	to := side.Filter(func(side int) bool { return side != from }).Draw(t, "to")
	return action{Kind: "move", From: from, To: to, Amount: rapid.Int64Range(1, 60).Draw(t, "amount")}
}
