package outbox

// The channels of LISTEN and NOTIFY (PostgreSQL documentation, NOTIFY). Their
// notifications only hurry what a poll finds anyway.
const (
	// outboxChannel says that events have been committed.
	outboxChannel = "txn_outbox"
	// laneChannel says that lanes have work or have changed. The payload is
	// laneDue, laneChanged or the UUID of the dispatcher that holds the lanes.
	laneChannel = "txn_lanes"
)

// Payloads of laneChannel that are meant for every dispatcher.
const (
	laneDue     = "due"
	laneChanged = "changed"
)
