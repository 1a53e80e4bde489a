package load

import (
	"fmt"
	"time"
)

// StalledError says that deliveries stopped coming in before all had.
type StalledError struct {
	Received, Wanted int64
	// Patience is how long nothing came in.
	Patience time.Duration
}

func (e *StalledError) Error() string {
	return fmt.Sprintf("only %d of %d deliveries came in, and none for %s", e.Received, e.Wanted, e.Patience)
}
