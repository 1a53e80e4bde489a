package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// stack is what Run has started so far.
type stack struct {
	Options

	listen       string // address of the API, its port chosen
	databaseURL  string
	redisURL     string // empty: there is no Redis
	state        *state
	receiver     *receiver
	broken       chan error // takes the first part that ended by itself
	brokenOnce   sync.Once
	started      []part // in this order
	transferView string // what the demo has to show
}

// part is something that runs until it is stopped.
type part struct {
	name string
	stop func(ctx context.Context) error
}

func (d *stack) add(name string, stop func(ctx context.Context) error) {
	d.started = append(d.started, part{name: name, stop: stop})
}

// stop ends all parts, the last one first: clients before their servers.
func (d *stack) stop(ctx context.Context) error {
	var failures []error
	for _, p := range slices.Backward(d.started) {
		if err := p.stop(ctx); err != nil {
			failures = append(failures, fmt.Errorf("stopping %s: %w", p.name, err))
		}
	}
	return errors.Join(failures...)
}

// progress tells a person what is going on.
func (d *stack) progress(format string, args ...any) {
	fmt.Fprintf(d.Progress, format+"\n", args...)
}
