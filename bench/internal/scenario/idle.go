package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/txn-service/txn/bench/internal/report"
)

const (
	// idleBusinesses have ten endpoints each.
	idleBusinesses = 10
	mostStatements = 20
	// idleShare makes a measurement twice as long as others: some of what an idle
	// dispatcher does, it does every five seconds.
	idleShare = 2
)

func idleScenarios() []Scenario {
	return []Scenario{{
		Name: "idle", Summary: "statements of an idle dispatcher with 100 endpoints (pg_stat_statements)",
		Unit: report.Statements, Goal: report.Goal{Most: mostStatements}, Once: true,
		measure: measureIdle,
	}}
}

// measureIdle counts in a cluster of its own: pg_stat_statements must be loaded
// at the start and would cost all other scenarios something.
func measureIdle(ctx context.Context, b *Bench) (run report.Run, err error) {
	cluster, err := b.stack.StartCluster(ctx, map[string]string{
		"shared_preload_libraries": "pg_stat_statements", "shared_buffers": "128MB",
	})
	if err != nil {
		return run, fmt.Errorf("a PostgreSQL with pg_stat_statements (Fedora, RHEL, Alpine: postgresql-contrib): %w", err)
	}
	s, err := b.newSiteOn(ctx, cluster, "idle")
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, s.drop(ctx)) }()
	if err := s.awake(ctx); err != nil {
		return run, err
	}
	dispatcher, err := b.stack.StartDispatcher(ctx, s.url)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(ctx)) }()
	if err := s.settle(ctx, patience); err != nil {
		return run, err
	}
	if err := s.quiet(ctx); err != nil {
		return run, err
	}
	return s.countStatements(ctx, idleShare*b.options.Duration)
}

// awake makes endpoints, and an event for each, so that every lane has been
// leased once.
func (s *site) awake(ctx context.Context) error {
	if _, err := s.db.Pool.Exec(ctx, `CREATE EXTENSION pg_stat_statements`); err != nil {
		return err
	}
	for range idleBusinesses {
		id, _, err := s.business(ctx)
		if err != nil {
			return err
		}
		for e := range neighbourEndpoints {
			if _, err := s.endpoint(ctx, id, fmt.Sprintf("%s/%s/%d", s.receiver.URL(), id, e), 0); err != nil {
				return err
			}
		}
		if _, err := s.accounts(ctx, id, 1); err != nil {
			return err
		}
	}
	return nil
}

// quiet waits until no lane is leased any more.
func (s *site) quiet(ctx context.Context) error {
	const poll = 100 * time.Millisecond
	for began := time.Now(); ; {
		var leased int64
		err := s.db.Pool.QueryRow(ctx, `SELECT count(*) FROM webhook_lanes WHERE owner IS NOT NULL`).Scan(&leased)
		if err != nil || leased == 0 {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("%d lanes are still leased after %s", leased, patience)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

// countStatements counts all statements but its own.
func (s *site) countStatements(ctx context.Context, window time.Duration) (report.Run, error) {
	if _, err := s.db.Pool.Exec(ctx, `SELECT pg_stat_statements_reset()`); err != nil {
		return report.Run{}, err
	}
	start := time.Now()
	select {
	case <-ctx.Done():
		return report.Run{}, context.Cause(ctx)
	case <-time.After(window):
	}
	seconds := time.Since(start).Seconds()
	var calls, kinds int64
	err := s.db.Pool.QueryRow(ctx, `SELECT coalesce(sum(calls), 0)::bigint, count(*) FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND query NOT LIKE '%pg_stat_statements%'`).Scan(&calls, &kinds)
	switch {
	case err != nil:
		return report.Run{}, err
	case calls == 0:
		return report.Run{}, errors.New("the dispatcher has made no statement at all")
	}
	return report.Run{
		Value: float64(calls) / seconds, Note: fmt.Sprintf("%d statements of %d kinds in %.0f s", calls, kinds, seconds),
	}, nil
}
