// Package migrations embeds the numbered SQL that makes the schema.
//
// Every file is safe beside the previous release (expand first, contract in a
// later one) and takes a lock_timeout, so that a migration never queues behind
// a long transaction with everyone else queued behind it.
package migrations

import "embed"

// FS holds the goose migrations.
//
//go:embed *.sql
var FS embed.FS
