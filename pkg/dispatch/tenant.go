package dispatch

import "time"

// tenant is a business with lanes on this process.
type tenant struct {
	inFlight int
	lanes    int
	fast     []*lane // lanes with work, round-robin
	slow     []*lane // the same of slow ones
	turn     int
	listed   bool
}

func (t *tenant) waiting() bool { return len(t.fast)+len(t.slow) > 0 }

func (t *tenant) list(l *lane) {
	l.listed = true
	if l.slow {
		t.slow = append(t.slow, l)
	} else {
		t.fast = append(t.fast, l)
	}
}

// next takes the next lane that can send now off the lists, nil when there is
// none. Every fourth turn a slow lane comes first, so that they are not starved.
func (t *tenant) next(now time.Time, allowSlow bool) *lane {
	t.turn++
	if allowSlow && t.turn%4 == 0 {
		if l := pop(&t.slow, now); l != nil {
			return l
		}
	}
	if l := pop(&t.fast, now); l != nil {
		return l
	}
	if allowSlow {
		return pop(&t.slow, now)
	}
	return nil
}

func pop(list *[]*lane, now time.Time) *lane {
	for len(*list) > 0 {
		l := (*list)[0]
		(*list)[0] = nil
		*list = (*list)[1:]
		l.listed = false
		if l.runnable(now) {
			return l
		}
	}
	return nil
}
