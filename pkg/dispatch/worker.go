package dispatch

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/logging"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// completion is a result on its way to the database, with its job.
type completion struct {
	job    job
	result outbox.Result
	log    attemptLog
	// gone is the address that answered 410; empty for any other answer.
	gone string
}

// work is one slot: it sends what the scheduler gives it until that stops. ctx
// bounds the sends themselves.
func (d *Dispatcher) work(ctx context.Context) {
	for {
		j, t, ok := d.scheduler.take()
		if !ok {
			return
		}
		d.attempt(ctx, j, t)
	}
}

func (d *Dispatcher) attempt(ctx context.Context, j job, t *target) {
	var a answer
	var v verdict
	var of *attemptTrace
	if t == nil {
		d.scheduler.refuse(j)
		return
	}
	if j.message.Body == nil {
		a = answer{sentAt: time.Now(), err: errNoEvent}
		v = verdict{outcome: outcomeRefused, status: models.DeliveryFailed, reason: errNoEvent.Error(), unsent: true}
	} else {
		request := newRequest(j, t, d.clock.now())
		of = d.traceAttempt(&j, request)
		a = d.client.send(ctx, request, j.message.Body)
		if errors.Is(ctx.Err(), context.Canceled) && a.err != nil {
			// The process is stopping and cut its own request off: that says
			// nothing about the endpoint, and the delivery is still pending.
			of.abandon()
			d.scheduler.abandon(j)
			return
		}
		v = judge(&a, j.due.RunAttempt+1, d.options.Schedule, jitter(), d.clock.now())
		of.end(&a, &v)
	}
	d.metrics.attempt(&j, &a, &v)
	// Completed first, then the slot freed: an ordered lane must not be seen
	// without anything in hand in between.
	done := completion{job: j, result: resultOf(&j, &a, &v), log: attemptLog{host: t.url.Host, outcome: v.outcome, wait: v.wait, traceID: of.id()}}
	if v.gone {
		done.gone = t.address
	}
	d.completions <- done
	d.scheduler.finish(j, &a, &v)
}

// errNoEvent ends deliveries of events that retention has deleted.
var errNoEvent = errors.New("the event has been deleted")

// newRequest signs the body and addresses it.
func newRequest(j job, t *target, now time.Time) *http.Request {
	header := maps.Clone(t.header)
	header[webhook.HeaderID] = []string{j.due.EventID.String()}
	header[webhook.HeaderTimestamp] = []string{strconv.FormatInt(now.Unix(), 10)}
	header[webhook.HeaderSignature] = []string{t.signer.Sign(j.due.EventID, now, j.message.Body)}
	return &http.Request{
		Method: http.MethodPost, URL: t.url, Host: t.url.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

func resultOf(j *job, a *answer, v *verdict) outbox.Result {
	return outbox.Result{
		BusinessID: j.key.BusinessID, DeliveryID: j.due.ID, WebhookID: j.key.WebhookID, EventID: j.due.EventID, Run: j.due.Run, AttemptCount: j.due.AttemptCount,
		Status: v.status, Wait: v.wait, FailureReason: v.reason, StatusCode: a.status, Latency: a.latency,
		ResponseBody: a.body, Error: a.reason(), SentAt: a.sentAt,
	}
}

// abandon puts a delivery back that was not sent to the end.
func (s *scheduler) abandon(j job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.occupy(j.lane, -1)
	delete(j.lane.inHand, j.due.ID)
	j.lane.idleFrom = time.Now()
}

// refuse puts a delivery back that cannot be signed, and closes its lane for a
// while: with the right key in the list nothing is lost.
func (s *scheduler) refuse(j job) {
	s.abandon(j)
	s.mu.Lock()
	defer s.mu.Unlock()
	j.lane.close(unsendableHold)
}

// attemptLog is what the canonical line of an attempt needs beside its result.
type attemptLog struct {
	host    string
	outcome string
	wait    time.Duration
	// traceID is empty when the attempt is not traced.
	traceID string
}

// logAttempt writes the one line of an attempt: no body, no header, and of the
// URL the host alone, since paths and queries carry tokens.
func (d *Dispatcher) logAttempt(c *completion, accepted bool) {
	level := logrus.InfoLevel
	if c.result.Status == models.DeliveryFailed {
		level = logrus.WarnLevel
	}
	if !d.log.Logger.IsLevelEnabled(level) {
		return
	}
	line := make(logging.Line, 0, 18).
		Text("dispatcher", d.store.Owner()).
		Text("business", c.result.BusinessID.String()).
		Text("webhook", c.job.key.WebhookID.String()).
		Text("delivery", c.result.DeliveryID.String()).
		Text("event", c.job.due.EventID.String()).
		Text("event_type", string(c.job.message.Type)).
		Text("trace_id", c.log.traceID).
		Text("host", c.log.host).
		Text("outcome", c.log.outcome).
		Text("delivery_status", string(c.result.Status)).
		Int("attempt", int64(c.result.AttemptCount+1)).
		Int("run", int64(c.result.Run)).
		Int("duration_ms", c.result.Latency.Milliseconds())
	if c.result.StatusCode != 0 {
		line = line.Int("status", int64(c.result.StatusCode))
	}
	if c.result.Status == models.DeliveryPending {
		line = line.Text("next_attempt_in", c.log.wait.Round(time.Millisecond).String())
	}
	line.Text("error", c.result.Error).True("stale", !accepted).Write(d.log.Logger, level, "webhook attempt")
}
