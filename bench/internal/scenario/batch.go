package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

// batchConnections keep two committers busy with whole batches.
const batchConnections = 8

func batchScenarios() []Scenario {
	return []Scenario{
		{
			Name: "raw-batch", Summary: "pgbench, 100 transfers per SQL statement, 2 clients", Unit: report.PerSecond,
			prepare: func(ctx context.Context, b *Bench) error {
				if err := b.openRaw(ctx); err != nil {
					return err
				}
				_, err := b.raw.Run(ctx, load.RawBatch, batchClients, b.warm())
				return err
			},
			measure: measureRaw(load.RawBatch),
		},
		{
			Name: "batch", Summary: "transfers over HTTP in batches of 100, 8 connections", Unit: report.PerSecond,
			Yardstick: "raw-batch", Goal: report.Goal{Ratio: 0.8},
			prepare: prepareBatch,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				return b.transfer(ctx, b.main.api.URL, b.batches(), b.options.Duration)
			},
		},
	}
}

func (b *Bench) batches() load.Transfers {
	return load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: batchConnections, Batch: load.RawBatchSize}
}

func prepareBatch(ctx context.Context, b *Bench) error {
	if err := prepareMain(ctx, b); err != nil {
		return err
	}
	probe := struct {
		Transactions []newTransaction `json:"transactions"`
	}{[]newTransaction{{Type: "transfer", Source: b.accounts.Accounts[0], Destination: b.accounts.Accounts[1], Amount: 1}}}
	err := post(ctx, b.main.api.URL+"/v1/transactions/batch", b.accounts.Key, probe)
	var refused *statusError
	if errors.As(err, &refused) && (refused.status == http.StatusNotFound || refused.status == http.StatusMethodNotAllowed) {
		return fmt.Errorf("%w: the API has no POST /v1/transactions/batch", errSkip)
	}
	if err != nil {
		return err
	}
	_, err = b.transfer(ctx, b.main.api.URL, b.batches(), b.warm())
	return err
}
