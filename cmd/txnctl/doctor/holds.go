package doctor

import (
	"context"
	"fmt"
	"time"
)

// holdsCounted is where the count of overdue holds ends.
const holdsCounted = 10_000

// checkOverdueHolds finds holds that nobody expires. A dispatcher sweeps every few
// seconds, so a minute is long.
func checkOverdueHolds(ctx context.Context, p *patient) (verdict, error) {
	var number int64
	var seconds float64
	err := p.row(ctx, `SELECT count(*), coalesce(extract(epoch FROM now() - min(expires_at)), 0)::float8 FROM (
		SELECT expires_at FROM holds WHERE status = 'pending' AND expires_at IS NOT NULL AND expires_at < now() - '1 minute'::interval
		ORDER BY expires_at LIMIT $1) overdue`, holdsCounted).Scan(&number, &seconds)
	if err != nil {
		return verdict{}, err
	}
	if number == 0 {
		return ok("none overdue by more than a minute"), nil
	}
	longest := span(time.Duration(seconds * float64(time.Second)))
	return fail(fmt.Sprintf("%s overdue, the longest by %s: money is set aside that nobody waits for", count(number, "hold is", "holds are"), longest),
		"start cmd/dispatcher, which expires them; if it runs, look in its log for \"expiring overdue holds failed\""), nil
}
