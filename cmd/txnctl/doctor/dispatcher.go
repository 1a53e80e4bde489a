package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

const (
	// lagNoticed and lagBroken are how long an event may wait to be fanned out, or
	// an endpoint for a dispatcher: under load it is milliseconds.
	lagNoticed = 30 * time.Second
	lagBroken  = 5 * time.Minute
	// counted is where the backlog's figures end.
	counted = 100_000
)

// checkDispatchers finds an installation where nobody sends webhooks, expires
// holds and audits the ledger.
func checkDispatchers(ctx context.Context, p *patient) (verdict, error) {
	b, err := outbox.ReadBacklog(ctx, p.db)
	if err != nil {
		return verdict{}, err
	}
	const advice = "start cmd/dispatcher on this database; if it runs, its log says why it does not work"
	switch {
	case b.Dispatchers > 0:
		return ok("%s", count(b.Dispatchers, "dispatcher runs", "dispatchers run")), nil
	case b.Events > 0 || b.LanesDue > 0:
		return fail("none runs, and webhooks wait", advice), nil
	default:
		return warn("none runs; nothing waits yet", advice), nil
	}
}

// checkBacklog finds webhooks that wait for a dispatcher. Those that wait for
// their endpoint to recover are no backlog.
func checkBacklog(ctx context.Context, p *patient) (verdict, error) {
	b, err := outbox.ReadBacklog(ctx, p.db)
	if err != nil {
		return verdict{}, err
	}
	return judgeBacklog(b), nil
}

func judgeBacklog(b outbox.Backlog) verdict {
	detail := fmt.Sprintf("%s to fan out, the oldest for %s; %s due, the longest for %s; about %d deliveries pending, %s by a breaker",
		upTo(b.Events, "event", "events"), span(b.OldestAge), upTo(b.LanesDue, "endpoint", "endpoints"), span(b.OldestDue),
		b.Pending, upTo(b.BreakersOpen, "endpoint held", "endpoints held"))
	lag := max(b.OldestAge, b.OldestDue)
	const advice = "start more dispatchers, look at their logs for errors, and at postgres.long_transactions and postgres.vacuum above"
	switch {
	case lag > lagBroken:
		return fail(detail, advice)
	case lag > lagNoticed:
		return warn(detail, advice)
	default:
		return ok("%s", detail)
	}
}

func upTo(n int64, one, several string) string {
	if n >= counted {
		return fmt.Sprintf("%d or more %s", counted, several)
	}
	return count(n, one, several)
}

// checkDisabledWebhooks finds endpoints that get nothing any more, mostly because
// they failed for five days.
func checkDisabledWebhooks(ctx context.Context, p *patient) (verdict, error) {
	newest, total, err := webhook.ListDisabled(ctx, p.db, maxListed)
	switch {
	case err != nil:
		return verdict{}, err
	case total == 0:
		return ok("none"), nil
	default:
		return warn(fmt.Sprintf("%s; the newest: %s", count(total, "endpoint is disabled", "endpoints are disabled"), listIDs(newest)),
			"txnctl webhook show says why; when it works again: txnctl webhook enable, then txnctl webhook replay --endpoint"), nil
	}
}
