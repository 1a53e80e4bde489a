package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

// candidates are the numbers of pgbench clients that are tried.
var candidates = []int{8, 16, 32}

// batchClients is how many clients raw-batch has; more are not faster on two
// cores.
const batchClients = 2

// openRaw makes the raw database and the best number of clients known.
func (b *Bench) openRaw(ctx context.Context) error {
	if b.raw != nil {
		return nil
	}
	address, err := b.stack.CreateEmptyDatabase(ctx, "raw")
	if err != nil {
		return err
	}
	if err := execute(ctx, address, load.RawSchema); err != nil {
		return fmt.Errorf("making the raw schema: %w", err)
	}
	raw, err := load.NewPgbench(b.stack.PostgresBinDir(), b.stack.Dir(), address)
	if err != nil {
		return err
	}
	if _, err := raw.Run(ctx, load.RawUniform, candidates[0], b.warm()); err != nil {
		return err
	}
	best := 0.0
	for _, clients := range candidates {
		sample, err := raw.Run(ctx, load.RawUniform, clients, max(time.Second, b.options.Duration/2))
		if err != nil {
			return err
		}
		b.say("pgbench with %d clients: %.0f/s", clients, sample.Rate)
		if sample.Rate > best {
			best, b.clients = sample.Rate, clients
		}
	}
	b.raw = raw
	return nil
}

// execute runs statements on a database of its own connection.
func execute(ctx context.Context, databaseURL, statements string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, statements)
	return err
}

// measureRaw returns the measuring function of a script at the best number of
// clients.
func measureRaw(script load.Raw) func(context.Context, *Bench) (report.Run, error) {
	return func(ctx context.Context, b *Bench) (report.Run, error) {
		clients := b.clients
		if script.PerTransaction > 1 {
			clients = batchClients
		}
		sample, err := b.raw.Run(ctx, script, clients, b.options.Duration)
		return runOf(sample), err
	}
}

func prepareRaw(ctx context.Context, b *Bench) error { return b.openRaw(ctx) }
