package main

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/telemetry"
)

const (
	// censusInterval is kept between two counts, which read a few pages of indexes.
	censusInterval = time.Minute
	censusTimeout  = 10 * time.Second
)

// expiringWithin are the times within which keys expire, as the metric names them.
var expiringWithin = map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour}

// census counts what no process knows by itself.
type census struct {
	db      *database.DB
	metrics *telemetry.Census
	log     logrus.FieldLogger
}

// run counts until ctx ends.
func (c *census) run(ctx context.Context) {
	ticker := time.NewTicker(censusInterval)
	defer ticker.Stop()
	for {
		if err := c.count(ctx); err != nil && ctx.Err() == nil {
			c.metrics.Unknown()
			c.log.WithError(err).Warn("endpoints and keys could not be counted, trying again")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *census) count(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	endpoints, err := outbox.CountEndpoints(ctx, c.db)
	if err != nil {
		return err
	}
	keys := make(map[string]int64, len(expiringWithin))
	for name, within := range expiringWithin {
		if keys[name], err = apikey.CountExpiring(ctx, c.db, within); err != nil {
			return err
		}
	}
	c.metrics.Counted(endpoints, keys)
	return nil
}
