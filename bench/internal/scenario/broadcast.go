package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

const (
	// neighbourRate is the transfers per second of the business that shares the
	// dispatcher with a broadcast.
	neighbourRate = 50
	// crowdPath begins the paths of the endpoints of a broadcast.
	crowdPath = "/crowd/"
)

func broadcastScenarios() []Scenario {
	return []Scenario{{
		Name: "broadcast", Summary: "one event to all endpoints of a business, from the request to the last receipt (-endpoints)",
		Unit: report.Milliseconds, Goal: report.Goal{Most: 5000},
		Also: []Figure{{
			Name: broadcastNeighbour, Summary: "commit to receipt of another business's 50 transfers a second meanwhile (p99)",
			Unit: report.Milliseconds, Goal: report.Goal{Most: 500},
		}},
		prepare: prepareBroadcast,
		measure: func(ctx context.Context, b *Bench) (report.Run, error) {
			return b.broadcast.run(ctx, b, b.options.Duration)
		},
	}}
}

const broadcastNeighbour = "broadcast-neighbour"

// broadcastSite has a business with very many endpoints and one with a single
// endpoint.
type broadcastSite struct {
	*site

	crowd, neighbour load.Tenant
	endpoints        int
}

func prepareBroadcast(ctx context.Context, b *Bench) error {
	s, err := b.newSite(ctx, "broadcast")
	if err != nil {
		return err
	}
	made := &broadcastSite{site: s, endpoints: b.options.Endpoints}
	s.api, err = b.stack.StartAPI(ctx, s.url, "TXN_WEBHOOKS_MAX_PER_BUSINESS="+strconv.Itoa(made.endpoints))
	if err != nil {
		return err
	}
	if err := made.gather(ctx); err != nil {
		return err
	}
	if made.neighbour, err = s.tenant(ctx, s.api, tenantAccounts); err != nil {
		return err
	}
	b.broadcast = made
	_, err = made.run(ctx, b, b.warm())
	return err
}

// gather makes the business with very many endpoints: the last one through the
// API, whose limit has been raised, the others by set-based SQL. Its accounts
// come first, so that nothing is broadcast before it counts.
func (c *broadcastSite) gather(ctx context.Context) error {
	id, key, err := c.business(ctx)
	if err != nil {
		return err
	}
	c.crowd.Key = key
	if c.crowd.Accounts, err = c.accounts(ctx, id, tenantAccounts); err != nil {
		return err
	}
	if err := fund(ctx, c.api, c.crowd); err != nil {
		return err
	}
	if err := c.fanOut(ctx); err != nil {
		return err
	}
	if err := c.site.endpoints(ctx, id, c.endpoints-1, c.crowdURL); err != nil {
		return err
	}
	last := map[string]any{"url": c.crowdURL(c.endpoints - 1), "event_types": []string{"*"}}
	if err := post(ctx, c.api.URL+"/v1/webhooks", key, last); err != nil {
		return fmt.Errorf("making the last endpoint: %w", err)
	}
	return nil
}

func (c *broadcastSite) crowdURL(i int) string {
	return c.receiver.URL() + crowdPath + strconv.Itoa(i)
}

// endpoints makes many endpoints like endpoint does, at once.
func (s *site) endpoints(ctx context.Context, business models.BusinessID, n int, url func(i int) string) error {
	const secretSize, rowsPerInsert = 32, 1000
	now := time.Now().UTC().Truncate(time.Microsecond)
	rows := make([]models.Webhook, n)
	for i := range rows {
		id := models.NewIDAt[models.WebhookPrefix](now)
		rows[i] = models.Webhook{
			BusinessID: business, ID: id, URL: url(i), EventTypes: models.TextList{"*"}, Status: models.WebhookActive,
			SecretCiphertext: s.keyring.Seal(business, id, bytes.Repeat([]byte{byte(i)}, secretSize)),
			MaxConcurrency:   webhook.DefaultMaxConcurrency, CreatedAt: now, UpdatedAt: now,
		}
	}
	err := s.db.InTx(ctx, func(tx *gorm.DB) error {
		if err := tx.CreateInBatches(rows, rowsPerInsert).Error; err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO webhook_lanes (business_id, webhook_id) SELECT business_id, id FROM webhooks WHERE business_id = ?
			ON CONFLICT DO NOTHING`, business).Error
	})
	if err != nil {
		return fmt.Errorf("making %d endpoints: %w", n, err)
	}
	return nil
}

// run sends one broadcast after the other for a duration, at least one, while
// the neighbour goes on. The figure is the slowest broadcast.
func (c *broadcastSite) run(ctx context.Context, b *Bench, duration time.Duration) (run report.Run, err error) {
	dispatcher, err := b.stack.StartDispatcher(ctx, c.url)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(ctx)) }()
	if err := c.settle(ctx, patience); err != nil {
		return report.Run{}, err
	}
	var neighbour stopwatch
	seen := arrivals{endpoints: map[string]map[string]struct{}{}}
	c.receiver.Reset(func(path string, body []byte, at time.Time) {
		if strings.HasPrefix(path, crowdPath) {
			seen.note(path, body, at)
		} else {
			neighbour.event(path, body, at)
		}
	})
	defer c.receiver.Reset(nil)
	slowest, count := time.Duration(0), 0
	group, loading := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := load.OpenLoop(loading, b.rate(neighbourRate), duration, func(ctx context.Context, _ time.Time) error {
			return pay(ctx, c.api, c.neighbour)
		})
		return err
	})
	group.Go(func() error {
		for began := time.Now(); count == 0 || time.Since(began) < duration; {
			took, err := c.send(loading, &seen)
			if err != nil {
				return err
			}
			slowest, count = max(slowest, took), count+1
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return report.Run{}, err
	}
	if err := c.settle(ctx, patience); err != nil {
		return report.Run{}, err
	}
	if err := c.requireNoneFailed(ctx); err != nil {
		return report.Run{}, err
	}
	latencies, err := neighbour.percentiles()
	return report.Run{
		Value: report.Millis(slowest), Also: map[string]float64{broadcastNeighbour: latencies.P99},
		Note: fmt.Sprintf("the slowest of %d broadcasts to %d endpoints", count, c.endpoints),
	}, err
}

// send makes one transfer and waits until every endpoint has heard of it.
func (c *broadcastSite) send(ctx context.Context, seen *arrivals) (time.Duration, error) {
	const poll = 2 * time.Millisecond
	before := c.receiver.Received()
	start := time.Now()
	if err := pay(ctx, c.api, c.crowd); err != nil {
		return 0, err
	}
	moved := time.Now()
	for {
		received, last, done := seen.newest(c.endpoints)
		if done {
			return last.Sub(start), nil
		}
		if now := c.receiver.Received(); now != before {
			before, moved = now, time.Now()
		}
		if time.Since(moved) > patience || time.Since(start) > stepLimit {
			return 0, &load.StalledError{Received: int64(received), Wanted: int64(c.endpoints), Patience: patience}
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

// arrivals counts the endpoints that each event of a broadcast has reached.
type arrivals struct {
	mu        sync.Mutex
	endpoints map[string]map[string]struct{} // by event id, the paths
	current   string                         // event id
	last      time.Time
}

// note takes a request in. What comes a second time changes nothing.
func (a *arrivals) note(path string, body []byte, at time.Time) {
	id := eventID(body)
	a.mu.Lock()
	defer a.mu.Unlock()
	reached := a.endpoints[id]
	if reached == nil {
		reached = map[string]struct{}{}
		a.endpoints[id], a.current = reached, id
	}
	if _, again := reached[path]; !again {
		reached[path], a.last = struct{}{}, at
	}
}

// newest tells how far the last broadcast is, and forgets it when it has reached
// all of n endpoints.
func (a *arrivals) newest(n int) (received int, last time.Time, done bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	received, last = len(a.endpoints[a.current]), a.last
	if received < n || a.current == "" {
		return received, last, false
	}
	a.current = "" // its paths stay: a late duplicate begins no new broadcast
	return received, last, true
}

// eventID finds the id that every body begins with, much faster than a parser.
func eventID(body []byte) string {
	const lead = `{"id":"`
	rest, found := bytes.CutPrefix(body, []byte(lead))
	id, _, closed := bytes.Cut(rest, []byte(`"`))
	if !found || !closed {
		return ""
	}
	return string(id)
}

// requireNoneFailed checks that no delivery was given up.
func (s *site) requireNoneFailed(ctx context.Context) error {
	var failed int64
	err := s.db.Pool.QueryRow(ctx, `SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'`).Scan(&failed)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%w: %d failed", errLost, failed)
	}
	return err
}
