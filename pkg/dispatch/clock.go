package dispatch

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	clockInterval = time.Minute
	clockTimeout  = 2 * time.Second
	// clockTolerance is how far off a local clock may be without a word. Receivers
	// commonly refuse signatures that are five minutes off.
	clockTolerance = time.Minute
)

// clock shows the database's time, by which everything else here goes too: with
// the local one a dispatcher whose clock is wrong would sign what receivers
// refuse. Between readings it goes on by the monotonic clock, whatever somebody
// does to the local one.
type clock struct {
	reading atomic.Pointer[reading]
}

// reading says what the database showed at a local moment.
type reading struct{ shown, at time.Time }

// now is the local time before the first reading.
func (c *clock) now() time.Time {
	if r := c.reading.Load(); r != nil {
		return r.shown.Add(time.Since(r.at))
	}
	return time.Now()
}

// set takes a reading and returns how far the local clock is ahead.
func (c *clock) set(shown, asked, answered time.Time) (ahead time.Duration) {
	at := asked.Add(answered.Sub(asked) / 2)
	c.reading.Store(&reading{shown, at})
	return at.Round(0).Sub(shown)
}

// readClock asks the database for the time; without an answer the last one counts.
func (d *Dispatcher) readClock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	asked := time.Now()
	shown, err := d.store.Now(ctx)
	if err != nil {
		d.trouble(ctx, "clock", err)
		return
	}
	if ahead := d.clock.set(shown, asked, time.Now()); ahead.Abs() > clockTolerance {
		d.log.WithField("ahead", ahead.Round(time.Second).String()).
			Warn("this machine's clock is not the database's; signing by the database's")
	}
}

// keepTime reads the clock again and again, until ctx ends.
func (d *Dispatcher) keepTime(ctx context.Context) {
	for {
		pause := clockInterval
		if d.clock.reading.Load() == nil {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		d.readClock(ctx)
	}
}
