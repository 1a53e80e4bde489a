package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
)

// A caller's own trace.
const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
)

// tracing is an API and a dispatcher that send their traces to one collector, and
// an endpoint.
type tracing struct {
	t         *testing.T
	base      *dbtest.Database
	collector *telemetrytest.Collector
	api       *app
	client    *client
	// received are the headers of the deliveries; the first is refused.
	received chan http.Header
	secret   string
}

func newTracing(t *testing.T) *tracing {
	t.Helper()
	w := &tracing{t: t, base: dbtest.New(t), collector: telemetrytest.NewCollector(t), received: make(chan http.Header, 1024)}
	c := settings(w.base.URL)
	c.OTel.Endpoint, c.Webhooks.AllowInsecure = w.collector.URL, true
	w.api = start(t, c)
	w.client = newClient(t, issueKey(t, w.base.URL))
	return w
}

// dispatcher starts one, and an endpoint for movements, whose first delivery fails.
func (w *tracing) dispatcher() (log *buffer) {
	w.t.Helper()
	log = &buffer{}
	command := exec.Command(buildDispatcher(w.t)) // it stops after the test's context
	command.Env = append(os.Environ(), "TXN_DATABASE_URL="+w.base.URL, "TXN_SECURITY_ENCRYPTION_KEYS="+encryptionKey,
		"TXN_WEBHOOKS_ALLOW_INSECURE=true", "TXN_WEBHOOKS_RETRY_SCHEDULE=20ms,20ms", "TXN_DISPATCHER_ADMIN_LISTEN=",
		"TXN_OTEL_ENDPOINT="+w.collector.URL)
	command.Stdout, command.Stderr = log, os.Stderr
	require.NoError(w.t, command.Start())
	w.t.Cleanup(func() {
		require.NoError(w.t, command.Process.Signal(syscall.SIGTERM))
		require.NoError(w.t, command.Wait())
	})
	var refused atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.received <- r.Header.Clone()
		if refused.CompareAndSwap(false, true) {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	w.t.Cleanup(server.Close)
	status, _, body, err := w.client.call("POST", "http://"+w.api.api+"/v1/webhooks", "endpoint",
		fmt.Sprintf(`{"url":%q,"event_types":["transaction.created"],"max_concurrency":1}`, server.URL+"/hook?token=hunter2"))
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusCreated, status, string(body))
	var endpoint struct{ Secret string }
	require.NoError(w.t, json.Unmarshal(body, &endpoint))
	require.NotEmpty(w.t, endpoint.Secret)
	w.secret = endpoint.Secret
	return log
}

// post makes a request within a trace.
func (w *tracing) post(path, key, body, traceparent string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.api.api+path, strings.NewReader(body))
	require.NoError(w.t, err)
	for name, value := range map[string]string{
		"Authorization": "Bearer " + w.client.key, "Content-Type": "application/json", "Idempotency-Key": key,
		"traceparent": traceparent, "tracestate": "vendor=opaque",
	} {
		request.Header.Set(name, value)
	}
	res, err := w.client.http.Do(request)
	require.NoError(w.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusCreated, res.StatusCode, string(text))
}

// delivery is the next thing that the endpoint receives.
func (w *tracing) delivery() http.Header {
	w.t.Helper()
	select {
	case header := <-w.received:
		return header
	case <-time.After(30 * time.Second):
		require.FailNow(w.t, "nothing is delivered")
		return nil
	}
}

// one returns the only span that matches.
func (w *tracing) one(matches func(telemetrytest.Span) bool) telemetrytest.Span {
	w.t.Helper()
	found := w.collector.Await(w.t, 1, matches)
	require.Len(w.t, found, 1)
	return found[0]
}

// of narrows a match to a trace.
func of(trace string, matches func(telemetrytest.Span) bool) func(telemetrytest.Span) bool {
	return func(s telemetrytest.Span) bool { return s.Trace() == trace && matches(s) }
}

// TestOneTraceFromRequestToDelivery: the trace that a caller began goes on through
// the request and its movement to both attempts to deliver the event, and out to the
// endpoint; the commit that it shared is linked. No secret is anywhere in it.
func TestOneTraceFromRequestToDelivery(t *testing.T) {
	t.Parallel()
	w := newTracing(t)
	log := w.dispatcher()
	url := "http://" + w.api.api
	const sampled, unsampled = "00-" + callerTrace + "-" + callerSpan + "-01", "00-" + callerTrace + "-" + callerSpan + "-00"
	var account struct{ ID string }
	status, _, body, err := w.client.call("POST", url+"/v1/accounts", "open", `{"name":"Main","currency":"USD"}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status)
	require.NoError(t, json.Unmarshal(body, &account))

	w.post("/v1/transactions", "traced", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":5}`, account.ID), sampled)
	first, second := w.delivery(), w.delivery()

	request := w.one(of(callerTrace, telemetrytest.Named("api", "POST /v1/transactions")))
	require.Equal(t, callerSpan, request.Parent())
	require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, request.GetKind())
	require.Equal(t, "vendor=opaque", request.GetTraceState())
	require.Equal(t, "/v1/transactions", request.Text("http.route"))
	require.EqualValues(t, http.StatusCreated, request.Number("http.response.status_code"))
	require.Regexp(t, `^biz_`, request.Text("txn.business.id"))
	movement := w.one(of(callerTrace, telemetrytest.Named("api", "ledger.post")))
	require.Equal(t, request.ID(), movement.Parent())
	require.EqualValues(t, 1, movement.Number("txn.ledger.runs"))
	commit := w.one(func(s telemetrytest.Span) bool { return s.GetName() == "ledger.commit" && s.LinksTo(movement) })
	require.True(t, movement.LinksTo(commit), "each leads to the other")
	require.NotEqual(t, callerTrace, commit.Trace(), "a commit is nobody's alone")
	require.Empty(t, commit.Parent())
	require.Equal(t, movement.Number("txn.ledger.batch_operations"), commit.Number("txn.ledger.batch_operations"))

	attempts := w.collector.Await(t, 2, of(callerTrace, telemetrytest.Named("dispatcher", "webhook.attempt")))
	require.Len(t, attempts, 2)
	for n, attempt := range attempts {
		require.Equal(t, movement.ID(), attempt.Parent())
		require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, attempt.GetKind())
		require.EqualValues(t, n+1, attempt.Number("txn.delivery.attempt"))
		require.Equal(t, "transaction.created", attempt.Text("txn.event.type"))
		require.Regexp(t, `^wh_`, attempt.Text("txn.webhook.id"))
		sent := []http.Header{first, second}[n]
		require.Equal(t, "00-"+callerTrace+"-"+attempt.ID()+"-01", sent.Get("traceparent"), "the endpoint can go on from there")
		require.Equal(t, "vendor=opaque", sent.Get("tracestate"))
		require.Equal(t, attempt.Text("txn.event.id"), sent.Get("webhook-id"))
	}
	require.EqualValues(t, http.StatusInternalServerError, attempts[0].Number("http.response.status_code"))
	require.Equal(t, "5xx", attempts[0].Text("txn.delivery.outcome"))
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, attempts[0].GetStatus().GetCode())
	require.EqualValues(t, http.StatusOK, attempts[1].Number("http.response.status_code"))
	require.Equal(t, "delivered", attempts[1].Text("txn.delivery.outcome"))
	require.Equal(t, tracepb.Status_STATUS_CODE_UNSET, attempts[1].GetStatus().GetCode())

	// A caller who does not sample is not sampled, down to the row and the header.
	w.post("/v1/transactions", "untraced", fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":5}`, account.ID), unsampled)
	require.Empty(t, w.delivery().Get("traceparent"))
	var kept int
	require.NoError(t, w.base.Pool.QueryRow(t.Context(),
		`SELECT count(*) FROM webhook_events WHERE type = 'transaction.created' AND trace_context IS NULL`).Scan(&kept))
	require.Equal(t, 1, kept)

	// The lines of the log lead to the trace.
	for what, lines := range map[string]*buffer{"both requests, sampled or not": w.api.log, "both attempts": log} {
		require.Eventually(t, func() bool {
			return strings.Count(lines.String(), `"trace_id":"`+callerTrace+`"`) == 2
		}, 10*time.Second, 10*time.Millisecond, what)
	}

	// What callers put into the wrong place does not get out.
	for _, path := range []string{"/v1/accounts?cursor=hunter2", "/v1/hunter2", "/v1/accounts/hunter2", "/livez"} {
		_, _, _, err := w.client.call("GET", url+path, "", "")
		require.NoError(t, err)
	}
	w.collector.Await(t, 1, telemetrytest.Named("api", "GET /v1/accounts/:id"))
	raw := string(w.collector.Raw())
	for _, secret := range []string{w.client.key, w.secret, strings.TrimPrefix(w.secret, "whsec_"), encryptionKey, "Bearer", "hunter2"} {
		require.NotContains(t, raw, secret)
	}
	for _, span := range w.collector.Spans(t) {
		require.NotContains(t, span.GetName(), "livez", "probes are no news")
		require.Empty(t, span.GetStatus().GetMessage())
	}
	w.one(of(callerTrace, telemetrytest.Named("api", "POST /v1/transactions"))) // still
}

// TestCommitsLinkToAllTheirMovements: many requests share commits, and every one of
// them finds the commit that it was in.
func TestCommitsLinkToAllTheirMovements(t *testing.T) {
	t.Parallel()
	const movements = 64
	w := newTracing(t)
	url := "http://" + w.api.api
	account := openAccount(t, w.client, url, "a", 1)
	var group errgroup.Group
	for n := range movements {
		group.Go(func() error {
			status, _, body, err := w.client.call("POST", url+"/v1/transactions", fmt.Sprintf("move-%d", n),
				fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1}`, account))
			if err == nil && status != http.StatusCreated {
				err = fmt.Errorf("%d: %s", status, body)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	all := w.collector.Await(t, movements+1, telemetrytest.Named("api", "ledger.post"))
	require.Len(t, all, movements+1)
	byID := map[string]telemetrytest.Span{}
	for _, span := range w.collector.Spans(t) {
		byID[span.ID()] = span
	}
	operations, commits := int64(0), map[string]bool{}
	for _, movement := range all {
		require.Len(t, movement.GetLinks(), 1)
		id := fmt.Sprintf("%x", movement.GetLinks()[0].GetSpanId())
		commit := w.one(func(s telemetrytest.Span) bool { return s.ID() == id })
		require.True(t, commit.LinksTo(movement))
		require.Contains(t, byID, movement.Parent(), "its request")
		if !commits[id] {
			commits[id] = true
			operations += commit.Number("txn.ledger.batch_operations")
		}
	}
	require.EqualValues(t, movements+1, operations)
	require.Less(t, len(commits), movements, "they share commits")
}

// TestACollectorThatIsAwayHoldsNobodyUp: requests are answered as ever, and the
// process ends in time, whether the collector refuses connections or swallows them.
func TestACollectorThatIsAwayHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	swallows, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, swallows.Close()) })
	for name, is := range map[string]struct{ endpoint, says string }{
		"refuses":  {"http://127.0.0.1:1", "the collector does not take traces"},
		"swallows": {"http://" + swallows.Addr().String(), "the collector did not take the last traces in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := dbtest.New(t)
			c := settings(base.URL)
			c.OTel.Endpoint = is.endpoint
			a := start(t, c)
			client := newClient(t, issueKey(t, base.URL))
			account := openAccount(t, client, "http://"+a.api, "a", 1)
			for n := range 50 {
				status, _, body, err := client.call("POST", "http://"+a.api+"/v1/transactions", fmt.Sprintf("move-%d", n),
					fmt.Sprintf(`{"type":"credit","destination_account_id":%q,"amount":1}`, account))
				require.NoError(t, err)
				require.Equal(t, http.StatusCreated, status, string(body))
			}
			client.http.CloseIdleConnections()
			stopped := time.Now()
			a.stop()
			require.NoError(t, a.wait(t))
			require.Less(t, time.Since(stopped), 8*time.Second)
			require.Contains(t, a.log.String(), is.says)
		})
	}
}
