package ratelimit

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// pipeline sends the counts of requests that come at once in one round trip: the
// first is sent at once, and what gathers meanwhile goes together next. Under
// load that takes two thirds off what a count costs client and server, most of
// which is system calls.
//
// go-redis has pipelining of this kind too (AutoPipeline), experimental and
// without a deadline for the batch.
type pipeline struct {
	*redis.Client

	mu sync.Mutex
	// next gathers commands while a batch is on its way; nil when none waits.
	next    *batch
	sending bool
}

// batch is the commands of one round trip.
type batch struct {
	commands []redis.Cmder
	// answered is closed when every command has its result or error.
	answered chan struct{}
}

// EvalSha runs a script as a part of the next batch, and returns within two
// operation timeouts. The context only describes the command.
func (p *pipeline) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	line := make([]any, 0, 3+len(keys)+len(args))
	line = append(line, "evalsha", sha, len(keys))
	for _, key := range keys {
		line = append(line, key)
	}
	command := redis.NewCmd(ctx, append(line, args...)...)
	<-p.submit(command)
	return command
}

func (p *pipeline) submit(command redis.Cmder) (answered <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = &batch{answered: make(chan struct{})}
	}
	p.next.commands = append(p.next.commands, command)
	answered = p.next.answered
	if !p.sending {
		p.sending = true
		go p.send(p.take())
	}
	return answered
}

// take returns the batch that has gathered. p.mu must be held.
func (p *pipeline) take() *batch {
	taken := p.next
	p.next = nil
	return taken
}

// send sends a batch, and then what gathered meanwhile, until nothing did.
func (p *pipeline) send(b *batch) {
	for b != nil {
		p.exec(b)
		p.mu.Lock()
		b = p.take()
		p.sending = b != nil
		p.mu.Unlock()
	}
}

func (p *pipeline) exec(b *batch) {
	defer close(b.answered)
	ctx, cancel := context.WithTimeout(context.Background(), operationTimeout)
	defer cancel()
	pipe := p.Pipeline()
	for _, command := range b.commands {
		_ = pipe.Process(ctx, command) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
}
