package main

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/database"
)

const (
	schemaInterval = 500 * time.Millisecond
	schemaLogEvery = 20
)

// waitForSchema returns once the database is there with a schema that this
// release can work on, or when ctx ends. It says why it waits, not too often.
func waitForSchema(ctx context.Context, db *database.DB, log logrus.FieldLogger) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := checkSchema(ctx, db)
		if err == nil {
			return
		}
		if attempt%schemaLogEvery == 0 && ctx.Err() == nil {
			log.WithError(err).Warn("not sending yet")
		}
		select {
		case <-ctx.Done():
		case <-time.After(schemaInterval):
		}
	}
}
