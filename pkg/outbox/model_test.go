package outbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// state is all that matters of one lane, two events and two dispatchers. Epochs
// and touches matter by whether they are the lane's.
type state struct {
	events [2]byte // ' ' not yet, 'o' in the outbox, 'p' pending, 'd' delivered
	owner  byte    // ' ', 'A' or 'B'
	due    byte    // 'n' now, 'l' when the lease ends, 'i' infinity
	minds  [2]mind
}

// mind is what a dispatcher believes.
type mind struct {
	held    bool
	current bool    // its epoch is the lane's
	seen    byte    // whether the touches of its last fetch are: '=' or '<', ' ' before that
	hand    [2]bool // deliveries that it is sending
}

func (s state) String() string {
	return fmt.Sprintf("events %q owner %q due %q A %+v B %+v", s.events, s.owner, s.due, s.minds[0], s.minds[1])
}

// Numbers of the lane and of what is over when a move begins.
const (
	laneNumber = 100
	pastNumber = 99
)

// model makes moves from any state, with the statements themselves.
type model struct {
	*kit
	lane        LaneKey
	dispatchers [2]*Dispatcher
	events      []models.EventID // in the order of their commits
	deliveries  [2]models.DeliveryID
}

// All orders of commits, fan-outs, claims, fetches, completions, heartbeats,
// releases, crashes and ends of leases of two dispatchers on one lane: every move
// from every state that they lead to, until nothing new is found. Each statement is one transaction; what happens while
// one waits for another's lock is the matter of the tests beside this one.
func TestEveryInterleavingOfTwoOwners(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	m := &model{
		kit: k, dispatchers: [2]*Dispatcher{NewDispatcher(k.db), NewDispatcher(k.db)}, lane: k.endpoint(k.business(), ""),
		deliveries: [2]models.DeliveryID{models.NewID[models.DeliveryPrefix](), models.NewID[models.DeliveryPrefix]()},
	}
	m.events = k.events(m.lane.BusinessID, models.EventAccountCreated, len(m.deliveries))
	start := state{events: [2]byte{' ', ' '}, owner: ' ', due: 'i', minds: [2]mind{{seen: ' '}, {seen: ' '}}}
	known, frontier := map[state]bool{start: true}, []state{start}
	moves := 0
	for len(frontier) > 0 {
		var found []state
		for _, from := range frontier {
			for name, move := range m.moves(from) {
				m.restore(from)
				to := from
				move(&to)
				m.read(&to)
				check(t, from, name, to)
				moves++
				if to = canonical(to); !known[to] {
					known[to] = true
					found = append(found, to)
				}
			}
		}
		frontier = found
	}
	t.Logf("%d moves between %d states", moves, len(known))
	require.Greater(t, len(known), 100)
}

// canonical takes a state and its mirror image, with A and B exchanged, for one.
func canonical(s state) state {
	mirrored := s
	mirrored.minds = [2]mind{s.minds[1], s.minds[0]}
	switch s.owner {
	case 'A':
		mirrored.owner = 'B'
	case 'B':
		mirrored.owner = 'A'
	}
	if mirrored.String() < s.String() {
		return mirrored
	}
	return s
}

// check is what must hold of every move.
func check(t *testing.T, from state, name string, to state) {
	t.Helper()
	where := fmt.Sprintf("%s\n  from %s\n  to   %s", name, from, to)
	for i := range to.events {
		require.Contains(t, map[byte]string{' ': " o", 'o': "op", 'p': "pd", 'd': "d"}[from.events[i]], string(to.events[i]), where)
		require.False(t, to.events[i] == 'p' && to.due == 'i', "pending, and nobody will ever look: %s", where)
	}
	for i, mind := range to.minds {
		if mind.held && mind.current {
			require.Equal(t, "AB"[i], to.owner, "who holds the current epoch owns: %s", where)
		}
	}
	for i, mind := range from.minds {
		require.False(t, mind.seen == '<' && name == string("AB"[i])+" releases" && to.owner != from.owner,
			"work was added that it has not seen: %s", where)
		require.False(t, mind.held && name == "fan-out" && to.minds[i].seen == '=', "it must be able to tell: %s", where)
		renews := name == string("AB"[i])+" beats" || name == string("AB"[i])+" releases"
		if renews && !mind.current {
			require.Equal(t, from.owner, to.owner, "a former owner changes nothing: %s", where)
			require.Equal(t, from.due, to.due, where)
			require.False(t, to.minds[i].held, "and learns that it is one: %s", where)
		}
	}
	if strings.HasSuffix(name, " late") {
		require.Equal(t, from, to, "what comes late changes nothing: %s", where)
	}
	if name == "fan-out" && from.due == 'l' {
		require.Equal(t, 'l', rune(to.due), "a lease stays what it is: %s", where)
	}
}

// moves are what can happen next.
func (m *model) moves(s state) map[string]func(*state) {
	moves := map[string]func(*state){}
	for i, event := range s.events {
		if event == ' ' {
			moves["commit"] = func(*state) { m.commit(i) }
			break // one after the other
		}
	}
	if s.events[0] == 'o' || s.events[1] == 'o' {
		moves["fan-out"] = func(*state) {
			_, err := m.FanOut(m.t.Context(), PartOf(m.lane.BusinessID))
			require.NoError(m.t, err)
		}
	}
	if s.due == 'l' {
		moves["the lease ends"] = func(*state) { m.exec(`UPDATE webhook_lanes SET due_at = now() - '1 s'::interval`) }
	}
	for i, mind := range s.minds {
		who := string("AB"[i])
		past := mind
		past.current = false
		moves[who+" beats late"] = func(*state) { m.beat(i, &past) }
		moves[who+" releases late"] = func(*state) { m.releases(i, &past) }
		moves[who+" claims"] = func(to *state) { m.claim(i, &to.minds[i]) }
		sending := mind.hand[0] || mind.hand[1]
		if sending {
			moves[who+" completes"] = func(to *state) { m.completes(i, &to.minds[i]) }
		}
		if sending || mind.held {
			moves[who+" crashes"] = func(to *state) { to.minds[i].forget(); to.minds[i].hand = [2]bool{} }
		}
		if !mind.held {
			continue
		}
		moves[who+" fetches"] = func(to *state) { m.fetch(i, &to.minds[i]) }
		moves[who+" beats"] = func(to *state) { m.beat(i, &to.minds[i]) }
		if !sending && mind.seen != ' ' {
			moves[who+" releases"] = func(to *state) { m.releases(i, &to.minds[i]) }
		}
	}
	return moves
}

func (m *mind) forget() { m.held, m.current, m.seen = false, false, ' ' }

// epoch is the one under which a dispatcher believes to hold the lane.
func (m *mind) epoch() int64 {
	if m.current {
		return laneNumber
	}
	return pastNumber
}

func (m *model) commit(event int) {
	m.exec(`INSERT INTO webhook_outbox (part, business_id, event_id, type) VALUES ($1, $2, $3, $4)`,
		PartOf(m.lane.BusinessID), m.lane.BusinessID, m.events[event], models.EventAccountCreated)
}

func (m *model) claim(who int, mind *mind) {
	lanes, err := m.dispatchers[who].Claim(m.t.Context(), 10)
	require.NoError(m.t, err)
	if len(lanes) > 0 {
		mind.held, mind.current, mind.seen = true, true, ' '
	}
}

func (m *model) fetch(who int, mind *mind) {
	fetched, err := m.dispatchers[who].Fetch(m.t.Context(), []Want{{LaneKey: m.lane, Epoch: mind.epoch(), Limit: 10}})
	require.NoError(m.t, err)
	if !fetched[0].Held {
		mind.forget()
		return
	}
	require.True(m.t, mind.current, "a former owner is given nothing to send")
	mind.seen = '='
	for _, due := range fetched[0].Due {
		for i, event := range m.events {
			mind.hand[i] = mind.hand[i] || event == due.EventID
		}
	}
}

func (m *model) completes(who int, mind *mind) {
	var results []Result
	for i, sending := range mind.hand {
		if sending {
			results = append(results, Result{
				BusinessID: m.lane.BusinessID, DeliveryID: m.deliveries[i], Run: 1, Status: models.DeliveryDelivered, SentAt: time.Now(),
			})
		}
	}
	_, err := m.dispatchers[who].Complete(m.t.Context(), results)
	require.NoError(m.t, err)
	mind.hand = [2]bool{}
}

func (m *model) beat(who int, mind *mind) {
	kept, err := m.dispatchers[who].Heartbeat(m.t.Context(), []Beat{{LaneKey: m.lane, Epoch: mind.epoch()}})
	require.NoError(m.t, err)
	if len(kept) == 0 {
		mind.forget()
	}
}

func (m *model) releases(who int, mind *mind) {
	touches := int64(laneNumber)
	if mind.seen == '<' {
		touches = pastNumber
	}
	released, err := m.dispatchers[who].Release(m.t.Context(), []Release{{LaneKey: m.lane, Epoch: mind.epoch(), Touches: touches}})
	require.NoError(m.t, err)
	if len(released) > 0 || !mind.current {
		mind.forget() // given back, or the next fetch or heartbeat would say so
	}
}

// restore makes the database what a state says.
func (m *model) restore(s state) {
	batch := &pgx.Batch{}
	batch.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	batch.Queue(`DELETE FROM webhook_outbox`)
	batch.Queue(`DELETE FROM webhook_attempts`)
	batch.Queue(`DELETE FROM webhook_deliveries`)
	var owner pgtype.UUID
	if s.owner != ' ' {
		owner = m.dispatchers[s.owner-'A'].owner
	}
	due := map[byte]string{'n': "1 s ago", 'l': "1 h", 'i': ""}[s.due]
	batch.Queue(`UPDATE webhook_lanes SET owner = $1, epoch = $2, touches = $2,
		due_at = CASE $3 WHEN '' THEN 'infinity' ELSE now() + $3::interval END`, owner, laneNumber, due)
	for i, event := range s.events {
		switch event {
		case 'o':
			batch.Queue(`INSERT INTO webhook_outbox (part, business_id, event_id, type) VALUES ($1, $2, $3, $4)`,
				PartOf(m.lane.BusinessID), m.lane.BusinessID, m.events[i], models.EventAccountCreated)
		case 'p', 'd':
			batch.Queue(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, status, next_attempt_at, sequence, created_at, finished_at)
				SELECT $1, $2, $3, $4, $5, now() - '1 s'::interval, $6, now(), CASE $5 WHEN 'delivered' THEN now() END`,
				m.lane.BusinessID, m.deliveries[i], m.events[i], m.lane.WebhookID, map[byte]string{'p': "pending", 'd': "delivered"}[event], i)
		}
	}
	require.NoError(m.t, m.db.Pool.SendBatch(m.t.Context(), batch).Close())
}

// read takes in what a move has made of the database.
func (m *model) read(s *state) {
	var owner pgtype.UUID
	var epoch, touches int64
	var due string
	fates := make([]string, len(s.events))
	require.NoError(m.t, m.db.Pool.QueryRow(m.t.Context(), `SELECT owner, epoch, touches,
		CASE WHEN due_at = 'infinity' THEN 'i' WHEN due_at > now() THEN 'l' ELSE 'n' END,
		(SELECT array_agg(coalesce((SELECT substr(d.status, 1, 1) FROM webhook_deliveries d WHERE d.event_id = e.id),
			(SELECT 'o' FROM webhook_outbox o WHERE o.event_id = e.id), ' ') ORDER BY n) FROM unnest($1::uuid[]) WITH ORDINALITY AS e (id, n))
		FROM webhook_lanes`, m.events).Scan(&owner, &epoch, &touches, &due, &fates))
	s.due, s.owner = due[0], ' '
	for i, d := range m.dispatchers {
		if owner == d.owner {
			s.owner = "AB"[i]
		}
		mind := &s.minds[i]
		if epoch != laneNumber && s.owner != "AB"[i] {
			mind.current = false
		}
		if touches != laneNumber && mind.seen == '=' {
			mind.seen = '<'
		}
	}
	for i, fate := range fates {
		s.events[i] = fate[0]
	}
}
