package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/txn-service/txn/pkg/ledger"
)

// overdueNoticed is long: a dispatcher sweeps every few seconds.
const overdueNoticed = time.Minute

// checkOverdueHolds finds holds that nobody expires.
func checkOverdueHolds(ctx context.Context, p *patient) (verdict, error) {
	overdue, err := ledger.CountOverdue(ctx, p.db, overdueNoticed)
	switch {
	case err != nil:
		return verdict{}, err
	case overdue.Holds == 0:
		return ok("none overdue by more than a minute"), nil
	default:
		return fail(fmt.Sprintf("%s overdue, the longest by %s: money is set aside that nobody waits for",
			count(overdue.Holds, "hold is", "holds are"), span(overdue.Longest)),
			"start cmd/dispatcher, which expires them; if it runs, look in its log for \"expiring overdue holds failed\""), nil
	}
}
