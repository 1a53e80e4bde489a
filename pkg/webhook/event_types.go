package webhook

import (
	"slices"
	"strings"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// maxEventTypes bounds an endpoint's filter: every type there is, and room.
const maxEventTypes = 32

// nouns are the first segments of the event types.
var nouns = func() map[string]bool {
	known := make(map[string]bool)
	for _, kind := range models.EventTypes {
		noun, _, _ := strings.Cut(string(kind), ".")
		known[noun] = true
	}
	return known
}()

// checkEventTypes records a violation for every filter that is not `*`, a known
// event type or `<noun>.*`: a typo would silently deliver nothing.
func checkEventTypes(v *errs.Validation, filters []string) {
	if len(filters) == 0 {
		v.Add("event_types", "must name at least one event type; `*` is all of them")
	}
	if len(filters) > maxEventTypes {
		v.Add("event_types", "must have at most %d items", maxEventTypes)
		return
	}
	seen := make(map[string]bool, len(filters))
	for _, filter := range filters {
		switch {
		case seen[filter]:
			v.Add("event_types", "%q is there twice", filter)
		case !knownFilter(filter):
			v.Add("event_types", "%q is no event type, `<noun>.*` or `*`", filter)
		}
		seen[filter] = true
	}
}

func knownFilter(filter string) bool {
	if noun, isPrefix := strings.CutSuffix(filter, ".*"); isPrefix {
		return nouns[noun]
	}
	return filter == "*" || slices.Contains(models.EventTypes, models.EventType(filter))
}
