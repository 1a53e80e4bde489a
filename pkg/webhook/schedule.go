package webhook

import "time"

// maxJitter is how much longer than scheduled a wait may be, so that deliveries
// that failed together do not return together. Never shorter: a receiver that
// was promised five minutes gets them.
const maxJitter = 0.2

// Schedule is the waits after the 1st, 2nd, … failed attempt of a run: N waits
// make N + 1 attempts.
type Schedule []time.Duration

// Wait returns how long to wait after the given failed attempt of a run (the
// first is 1), and false when the schedule is exhausted. jitter is in [0, 1).
func (s Schedule) Wait(attempt int, jitter float64) (time.Duration, bool) {
	if attempt < 1 || attempt > len(s) {
		return 0, false
	}
	base := s[attempt-1]
	return base + time.Duration(float64(base)*maxJitter*jitter), true
}

// Last is the wait before the last attempt of a run, 0 when there is only one.
func (s Schedule) Last() time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1]
}

// Total is the longest time that a run can take by the schedule alone.
func (s Schedule) Total() time.Duration {
	var total time.Duration
	for _, wait := range s {
		total += wait
	}
	return total + time.Duration(float64(total)*maxJitter)
}
