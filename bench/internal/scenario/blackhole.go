package scenario

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

//go:embed blackhole.sql
var countChangesSQL string

const (
	// Ten businesses with ten endpoints each.
	neighbours         = 10
	neighbourEndpoints = 10
	neighbourAccounts  = 10
	// neighbourhoodRate is transfers per second, each of which makes a delivery to
	// every endpoint of its business.
	neighbourhoodRate = 100
	// neighbourhoodTimeout of an attempt is short enough for the breaker to open
	// while the load runs: the black hole is met before and after.
	neighbourhoodTimeout = 4 * time.Second

	mostUpdates    = 99
	backlogUpdates = "blackhole-updates"
)

func blackHoleScenarios() []Scenario {
	return []Scenario{
		{
			Name: "unharmed", Summary: "commit to receipt, 1,000 deliveries a second to 99 endpoints (p99)",
			Unit: report.Milliseconds,
			prepare: func(ctx context.Context, b *Bench) (err error) {
				b.unharmed, err = b.newNeighbourhood(ctx, "unharmed", 0)
				return err
			},
			measure: func(ctx context.Context, b *Bench) (report.Run, error) { return b.unharmed.run(ctx, b) },
		},
		{
			Name: "blackhole", Summary: "unharmed, beside an endpoint that never answers and has a backlog (p99, -backlog)",
			Unit: report.Milliseconds, Yardstick: "unharmed", Goal: report.Goal{MostRatio: 1.5},
			Also: []Figure{{
				Name: backlogUpdates, Summary: "changes of that backlog's rows in a run",
				Unit: report.Updates, Goal: report.Goal{Most: mostUpdates},
			}},
			prepare: func(ctx context.Context, b *Bench) (err error) {
				b.blackHole, err = b.newNeighbourhood(ctx, "blackhole", b.options.Backlog)
				return err
			},
			measure: func(ctx context.Context, b *Bench) (report.Run, error) { return b.blackHole.run(ctx, b) },
		},
	}
}

// neighbourhood is a site with a hundred endpoints of ten businesses. The first
// endpoint of the first business may be a black hole; it is left out otherwise.
type neighbourhood struct {
	*site

	businesses []models.BusinessID
	tenants    []load.Tenant
	healthy    []int // endpoints of each tenant that answer

	hole    *load.BlackHole // nil for none
	holeID  models.WebhookID
	backlog int
}

func (b *Bench) newNeighbourhood(ctx context.Context, name string, backlog int) (*neighbourhood, error) {
	s, err := b.newSite(ctx, name)
	if err != nil {
		return nil, err
	}
	n := &neighbourhood{site: s, backlog: backlog}
	for range neighbours {
		id, key, err := s.business(ctx)
		if err != nil {
			return nil, err
		}
		n.businesses, n.tenants = append(n.businesses, id), append(n.tenants, load.Tenant{Key: key})
	}
	if backlog > 0 {
		if n.hole, err = load.NewBlackHole(); err != nil {
			return nil, err
		}
		b.atEnd = append(b.atEnd, n.hole.Close)
		if err := n.dig(ctx, b); err != nil {
			return nil, err
		}
	}
	// On both sides of the comparison.
	if err := n.countChanges(ctx); err != nil {
		return nil, err
	}
	if s.api, err = b.stack.StartAPI(ctx, s.url); err != nil {
		return nil, err
	}
	return n, n.settleIn(ctx)
}

// dig makes the black hole and its backlog, as an API and a dispatcher would have
// written it.
func (n *neighbourhood) dig(ctx context.Context, b *Bench) error {
	var err error
	if n.holeID, err = n.endpoint(ctx, n.businesses[0], n.hole.URL(), 0); err != nil {
		return err
	}
	b.say("writing a backlog of %d deliveries", n.backlog)
	if _, err := n.appendBacklog(ctx, n.businesses[:1], n.backlog); err != nil {
		return err
	}
	if err := n.fanOut(ctx); err != nil {
		return err
	}
	return n.tidy(ctx, "webhook_deliveries", "webhook_events", "webhook_outbox", "webhook_lanes")
}

func (n *neighbourhood) countChanges(ctx context.Context) error {
	trigger := fmt.Sprintf(`CREATE TRIGGER bench_backlog_changes AFTER UPDATE OR DELETE ON webhook_deliveries
		FOR EACH ROW WHEN (OLD.webhook_id = '%s') EXECUTE FUNCTION bench_count_change()`, n.holeID.UUID())
	for _, statement := range []string{countChangesSQL, trigger} {
		if _, err := n.db.Pool.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("counting changes: %w", err)
		}
	}
	return nil
}

// settleIn makes the other endpoints, and accounts with money.
func (n *neighbourhood) settleIn(ctx context.Context) error {
	for i, business := range n.businesses {
		healthy := neighbourEndpoints
		if i == 0 {
			healthy-- // the place of the black hole
		}
		n.healthy = append(n.healthy, healthy)
		for e := range healthy {
			url := fmt.Sprintf("%s/%s/%d", n.receiver.URL(), business, e)
			if _, err := n.endpoint(ctx, business, url, 0); err != nil {
				return err
			}
		}
		var err error
		if n.tenants[i].Accounts, err = n.accounts(ctx, business, neighbourAccounts); err != nil {
			return err
		}
		if err := fund(ctx, n.api, n.tenants[i]); err != nil {
			return err
		}
	}
	return nil
}

// run measures what the endpoints that answer see, and counts what is done to
// the backlog from the start of the dispatcher to its end.
func (n *neighbourhood) run(ctx context.Context, b *Bench) (run report.Run, err error) {
	if err := n.reopen(ctx); err != nil {
		return report.Run{}, err
	}
	dispatcher, err := b.stack.StartDispatcher(ctx, n.url, "TXN_WEBHOOKS_TIMEOUT="+neighbourhoodTimeout.String())
	if err != nil {
		return report.Run{}, err
	}
	run, err = n.load(ctx, b)
	if err := errors.Join(err, dispatcher.Stop(ctx)); err != nil || n.hole == nil {
		return p99Run(run), err
	}
	changes, err := n.changes(ctx)
	run.Also = map[string]float64{backlogUpdates: float64(changes)}
	return p99Run(run), err
}

// reopen closes the black hole's circuit breaker, as its owner can, so that all
// runs begin alike.
func (n *neighbourhood) reopen(ctx context.Context) error {
	if n.hole == nil {
		return nil
	}
	for _, status := range []models.WebhookStatus{models.WebhookPaused, models.WebhookActive} {
		_, err := n.webhooks.Update(n.db.Gorm.WithContext(ctx), n.businesses[0], n.holeID, webhook.Patch{Status: &status})
		if err != nil {
			return fmt.Errorf("resuming the black hole: %w", err)
		}
	}
	_, err := n.db.Pool.Exec(ctx, `TRUNCATE bench_backlog_changes`)
	return err
}

// load transfers on schedule, each tenant in turn.
func (n *neighbourhood) load(ctx context.Context, b *Bench) (report.Run, error) {
	swallowed := n.swallowed()
	var seen stopwatch
	for _, duration := range []time.Duration{b.warm(), b.options.Duration} {
		if err := n.settleBut(ctx, n.holeID, patience); err != nil {
			return report.Run{}, err
		}
		seen = stopwatch{}
		n.receiver.Reset(seen.event)
		var turn, wanted atomic.Int64
		_, err := load.OpenLoop(ctx, b.rate(neighbourhoodRate), duration, func(ctx context.Context, _ time.Time) error {
			i := turn.Add(1) % neighbours
			wanted.Add(int64(n.healthy[i]))
			return pay(ctx, n.api, n.tenants[i])
		})
		if err == nil {
			_, err = n.receiver.Await(ctx, wanted.Load(), patience)
		}
		n.receiver.Reset(nil)
		if err != nil {
			return report.Run{}, err
		}
	}
	if err := n.settleBut(ctx, n.holeID, patience); err != nil {
		return report.Run{}, err
	}
	if err := n.requireNoneFailed(ctx); err != nil {
		return report.Run{}, err
	}
	run, err := seen.percentiles()
	if n.hole != nil {
		run.Note = fmt.Sprintf("%d connections swallowed", n.swallowed()-swallowed)
		if n.swallowed() == swallowed {
			return run, errors.New("nothing was sent to the black hole")
		}
	}
	return run, err
}

func (n *neighbourhood) swallowed() int64 {
	if n.hole == nil {
		return 0
	}
	return n.hole.Accepted()
}

// changes counts what was done to the backlog, and checks that all of it is
// still there.
func (n *neighbourhood) changes(ctx context.Context) (int64, error) {
	var changes, pending int64
	err := n.db.Pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM bench_backlog_changes),
		(SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'pending')`, n.holeID).Scan(&changes, &pending)
	if err == nil && pending < int64(n.backlog) {
		err = fmt.Errorf("%w: of a backlog of %d only %d are pending", errLost, n.backlog, pending)
	}
	return changes, err
}
