package bench

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/txn-service/txn/pkg/client"
)

const (
	// maxUnknown bounds the requests whose outcome is asked for again at the end.
	maxUnknown = 1000
	// afterFailure is what a connection rests when there was no answer: asking what
	// is not there as fast as possible measures nothing.
	afterFailure = 20 * time.Millisecond
)

// load is the sending part of a run.
type load struct {
	api      *client.Client
	runID    string
	options  Options
	accounts *accounts

	next  atomic.Int64 // number of the next request
	began time.Time
	ended time.Time // all has been answered
	// until is when the last request was sent, or would have been.
	until       time.Time
	interrupted bool
	recorder    *recorder

	mu sync.Mutex // guards what follows
	// unknown are requests of which it is not known whether they moved anything,
	// forgotten counts those beyond maxUnknown.
	unknown   []request
	forgotten int64
}

func newLoad(api *client.Client, runID string, options Options, accounts *accounts) *load {
	return &load{api: api, runID: runID, options: options, accounts: accounts, recorder: newRecorder()}
}

// run sends until the time is up or ctx ends, and waits for all answers.
func (l *load) run(ctx context.Context) {
	l.began = time.Now()
	sending, cancel := context.WithDeadline(ctx, l.began.Add(l.options.Duration))
	defer cancel()
	watching := make(chan struct{})
	var watch, connections sync.WaitGroup
	watch.Go(func() { l.watch(watching) })
	for range l.options.Connections {
		connections.Go(func() { l.connection(sending) })
	}
	<-sending.Done()
	l.until, l.interrupted = time.Now(), ctx.Err() != nil
	connections.Wait()
	l.ended = time.Now()
	close(watching)
	watch.Wait()
}

// connection sends one request after the other until ctx ends. In flight, a
// request is not cut off by that.
func (l *load) connection(ctx context.Context) {
	for {
		n := l.next.Add(1) - 1
		due, ok := l.due(ctx, n)
		if !ok {
			return
		}
		if !l.send(context.WithoutCancel(ctx), due, l.request(n)) {
			pause(ctx, afterFailure)
		}
	}
}

// due waits until the n-th request is to be sent. From then on its latency
// counts, also when no connection was free: a service that stalls does not get
// fewer slow answers counted for it. It reports false when the load is over.
func (l *load) due(ctx context.Context, n int64) (time.Time, bool) {
	due := time.Now()
	if l.options.Rate > 0 {
		due = l.began.Add(time.Duration(float64(n) / l.options.Rate * float64(time.Second)))
		pause(ctx, time.Until(due))
	}
	return due, ctx.Err() == nil
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// send reports whether there was an answer.
func (l *load) send(ctx context.Context, due time.Time, r request) bool {
	err := l.post(ctx, l.api, r)
	if err == nil {
		l.recorder.succeeded(time.Since(due), len(r.moves))
		l.acknowledged(r)
		return true
	}
	l.recorder.failed(codeOf(err))
	if !refused(err) {
		l.remember(r)
	}
	var problem *client.Error
	return errors.As(err, &problem)
}

// post makes the movements of a request.
func (l *load) post(ctx context.Context, api *client.Client, r request) (err error) {
	if l.options.Mode == Batch {
		_, err = api.Transactions.CreateBatch(ctx, r.movements, client.WithIdempotencyKey(r.key))
	} else {
		_, err = api.Transactions.Create(ctx, r.movements[0], client.WithIdempotencyKey(r.key))
	}
	return err
}

// acknowledged books what a request moved.
func (l *load) acknowledged(r request) {
	for _, m := range r.moves {
		l.accounts.balances[m.from].Add(-1)
		l.accounts.balances[m.to].Add(1)
	}
}

func (l *load) remember(r request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unknown) < maxUnknown {
		l.unknown = append(l.unknown, r)
	} else {
		l.forgotten++
	}
}

// refused reports that nothing was moved: after a 5xx, and without an answer,
// that is not known.
func refused(err error) bool {
	var problem *client.Error
	return errors.As(err, &problem) && problem.Status < http.StatusInternalServerError
}

// codeOf is what a failure is counted under: the API's code where it has said
// one.
func codeOf(err error) string {
	var problem *client.Error
	var network net.Error
	switch {
	case errors.As(err, &problem) && problem.Code != "":
		return string(problem.Code)
	case errors.As(err, &problem):
		return http.StatusText(problem.Status)
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	default:
		return "connection"
	}
}
