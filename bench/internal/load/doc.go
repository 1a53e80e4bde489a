// Package load drives the two sides of a comparison: pgbench on plain SQL
// functions for what PostgreSQL alone can do, and wrk, or an open loop of Go's
// own HTTP client, for what the service does. It also holds the receiver that
// webhooks are sent to.
//
// The programs are children of this process, end with the context they were
// started under, and get passwords through their environment only.
package load
