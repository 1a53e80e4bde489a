package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// verdict is what a check says.
type verdict struct {
	status         Status
	detail, advice string
}

func ok(format string, args ...any) verdict {
	return verdict{status: OK, detail: fmt.Sprintf(format, args...)}
}

func warn(detail, advice string) verdict {
	return verdict{status: Warn, detail: detail, advice: advice}
}

func fail(detail, advice string) verdict {
	return verdict{status: Fail, detail: detail, advice: advice}
}

func skipped(format string, args ...any) verdict {
	return verdict{status: Skipped, detail: fmt.Sprintf(format, args...)}
}

// maxListed is how many of several things a detail names.
const maxListed = 3

// list names the first of several things and counts the rest.
func list(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
}

// listIDs is list for ids.
func listIDs[P models.Prefix](ids []models.ID[P]) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	return list(names)
}

// count is a number with its noun.
func count(n int64, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// span is a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d > 0 && d < time.Millisecond:
		return "less than 1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return d.Round(time.Minute).String()
	}
}
