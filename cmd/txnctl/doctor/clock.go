package doctor

import (
	"context"
	"fmt"
	"time"
)

const (
	// clockTries is how often the clocks are compared; the fastest answer counts.
	clockTries = 3
	// skewNoticed and skewBroken are how far the clocks may be apart. Receivers of
	// webhooks refuse what is signed five minutes off.
	skewNoticed = time.Second
	skewBroken  = time.Minute
)

// checkClock finds a difference between the database's clock, which decides about
// deadlines and signs webhooks, and this machine's.
func checkClock(ctx context.Context, p *patient) (verdict, error) {
	var skew, doubt time.Duration
	for i := range clockTries {
		var theirs time.Time
		before := p.Now()
		if err := p.row(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
			return verdict{}, err
		}
		took := p.Now().Sub(before)
		if i == 0 || took/2 < doubt {
			skew, doubt = theirs.Sub(before.Add(took/2)), took/2
		}
	}
	return judgeSkew(skew, doubt), nil
}

func judgeSkew(skew, doubt time.Duration) verdict {
	apart, direction := skew, "ahead of"
	if skew < 0 {
		apart, direction = -skew, "behind"
	}
	detail := fmt.Sprintf("the database is %s %s this machine, give or take %s", span(apart), direction, span(doubt))
	advice := "synchronise both by NTP; the database's clock decides about deadlines and signs webhooks"
	switch {
	case apart-doubt > skewBroken:
		return fail(detail, advice)
	case apart-doubt > skewNoticed:
		return warn(detail, advice)
	default:
		return ok("%s", detail)
	}
}
