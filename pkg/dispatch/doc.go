// Package dispatch sends webhooks: it leases lanes (package outbox), reads what
// is due on them, sends it through a guarded HTTP client and writes the outcome
// back in batches.
//
// A process has a fixed number of slots, one request each. A lane is held by one
// process at a time, so that an endpoint's concurrency cap, pace, order and
// circuit breaker are plain memory here. Nothing is written before a send that
// could stop a resend: whatever is lost here, the delivery is still pending.
package dispatch
