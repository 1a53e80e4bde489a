package ratelimit

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// pipeline sends the counts of requests that come at once in one round trip: the
// first is sent at once, and what gathers meanwhile goes together next, one
// script call per key whatever the number of its requests. Under load that takes
// nearly all of what a count costs client and server, most of which is system
// calls and script calls.
//
// go-redis has pipelining of this kind too (AutoPipeline), experimental, without
// a deadline for the batch, and without the sum per key.
type pipeline struct {
	*redis.Client

	mu sync.Mutex
	// next gathers counts while a batch is on its way; nil when none waits.
	next    *batch
	sending bool
}

// batch is the counts of one round trip.
type batch struct {
	sums map[sumKey]*sum
	// answered is closed when every count has its result or error.
	answered chan struct{}
}

// sum is the counts of one key in one batch: one call of the limiter's
// increment script, which takes a count and a time to live and returns the new
// total and the time left.
type sum struct {
	count int64
	// counted holds the commands of the requests, and what each added up to.
	counted []counted
}

type sumKey struct {
	sha, key   string
	timeToLive any
}

type counted struct {
	command *redis.Cmd
	upTo    int64
}

// EvalSha runs the increment script as a part of the next batch, and returns
// within two operation timeouts. The context only describes the command.
func (p *pipeline) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if len(keys) != 1 || len(args) != 2 {
		return p.Client.EvalSha(ctx, sha, keys, args...) // another script than the one that counts
	}
	count, ok := args[0].(int64)
	if !ok {
		one, _ := args[0].(int)
		count = int64(one)
	}
	command := redis.NewCmd(ctx)
	<-p.submit(command, sumKey{sha, keys[0], args[1]}, count)
	return command
}

func (p *pipeline) submit(command *redis.Cmd, key sumKey, count int64) (answered <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = &batch{sums: make(map[sumKey]*sum), answered: make(chan struct{})}
	}
	p.next.add(command, key, count)
	answered = p.next.answered
	if !p.sending {
		p.sending = true
		go p.send(p.take())
	}
	return answered
}

func (b *batch) add(command *redis.Cmd, key sumKey, count int64) {
	s := b.sums[key]
	if s == nil {
		s = &sum{}
		b.sums[key] = s
	}
	s.count += count
	s.counted = append(s.counted, counted{command, s.count})
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
	calls := make(map[*sum]*redis.Cmd, len(b.sums))
	for key, s := range b.sums {
		calls[s] = redis.NewCmd(ctx, "evalsha", key.sha, 1, key.key, s.count, key.timeToLive)
		_ = pipe.Process(ctx, calls[s]) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
	for s, call := range calls {
		s.answer(call)
	}
}

// answer gives every request the total as it was with its own count.
func (s *sum) answer(call *redis.Cmd) {
	result, err := call.Slice()
	if err == nil && len(result) != 2 {
		err = fmt.Errorf("the count of a rate limit has %d parts", len(result))
	}
	var total int64
	if err == nil {
		var isNumber bool
		if total, isNumber = result[0].(int64); !isNumber {
			err = fmt.Errorf("the count of a rate limit is a %T", result[0])
		}
	}
	for _, c := range s.counted {
		if err != nil {
			c.command.SetErr(err)
			continue
		}
		c.command.SetVal([]any{total - s.count + c.upTo, result[1]})
	}
}
