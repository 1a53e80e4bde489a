package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// spans records what the tracer of a test makes. Everything is sampled.
type spans struct {
	*tracetest.SpanRecorder
	trace.Tracer
}

func newSpans() spans {
	recorder := tracetest.NewSpanRecorder()
	return spans{recorder, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")}
}

// named returns the ended spans with a name.
func (s spans) named(name string) (found []sdktrace.ReadOnlySpan) {
	for _, span := range s.Ended() {
		if span.Name() == name {
			found = append(found, span)
		}
	}
	return found
}

func attributeOf(span sdktrace.ReadOnlySpan, name attribute.Key) attribute.Value {
	for _, a := range span.Attributes() {
		if a.Key == name {
			return a.Value
		}
	}
	return attribute.Value{}
}

// TestASpanLeadsToEveryCommitOfItsOperation: one that met a foreign lock was in
// several.
func TestASpanLeadsToEveryCommitOfItsOperation(t *testing.T) {
	t.Parallel()
	s := newSpans()
	k := newKit(t, ledger.Options{Tracer: s, LockTimeout: 20 * time.Second})
	a, b := k.account(t, 100), k.account(t, 0)
	require.Empty(t, s.Ended(), "nobody who calls is in a span")
	foreign, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = foreign.Exec(t.Context(), `SELECT FROM business_accounts WHERE id = $1 FOR UPDATE`, a)
	require.NoError(t, err)

	ctx, request := s.Start(t.Context(), "request")
	done := make(chan error, 1)
	go func() {
		_, err := k.ledger.Post(ctx, k.business, transfer(a, b, 1))
		done <- err
	}()
	require.Eventually(t, func() bool {
		return k.waitsForLock(t)
	}, 10*time.Second, time.Millisecond, "the shared lane passes it on")
	require.NoError(t, foreign.Rollback(t.Context()))
	require.NoError(t, <-done)
	request.End()

	post := s.named("ledger.post")
	require.Len(t, post, 1)
	require.Equal(t, request.SpanContext().SpanID(), post[0].Parent().SpanID())
	links := post[0].Links()
	require.Greater(t, len(links), 1)
	require.EqualValues(t, len(links), attributeOf(post[0], "txn.ledger.runs").AsInt64())
	require.Eventually(t, func() bool { return len(s.named("ledger.commit")) == len(links) }, 10*time.Second, time.Millisecond)
	for n, commit := range s.named("ledger.commit") {
		require.Equal(t, commit.SpanContext().SpanID(), links[n].SpanContext.SpanID())
		require.Len(t, commit.Links(), 1)
		require.Equal(t, post[0].SpanContext().SpanID(), commit.Links()[0].SpanContext.SpanID())
		require.False(t, commit.Parent().IsValid())
		lane := "shared"
		if n == len(links)-1 {
			lane = "patient"
		}
		require.Equal(t, lane, attributeOf(commit, "txn.ledger.lane").AsString())
	}
}

// waitsForLock reports that a statement in the kit's database waits for a row.
func (k *kit) waitsForLock(t *testing.T) (waits bool) {
	t.Helper()
	require.NoError(t, k.db.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits))
	return waits
}

// TestEventsKeepTheTraceOfTheirOperation and of no other in the same batch; an event
// that nobody asked for has none.
func TestEventsKeepTheTraceOfTheirOperation(t *testing.T) {
	t.Parallel()
	s := newSpans()
	k := newKit(t, ledger.Options{Tracer: s})
	a, b := k.account(t, 100), k.account(t, 0)
	soon := time.Now().Add(50 * time.Millisecond)
	hold := k.mustHold(t, ledger.NewHold{Account: a, Amount: 5, ExpiresAt: &soon, IdempotencyKey: key()})
	require.Eventually(t, func() bool {
		var over bool
		require.NoError(t, k.db.Pool.QueryRow(t.Context(), `SELECT expires_at < now() FROM holds WHERE id = $1`, hold).Scan(&over))
		return over
	}, 10*time.Second, 5*time.Millisecond)

	traced, _ := s.Start(t.Context(), "request")
	_, err := k.ledger.Post(traced, k.business, transfer(a, b, 1)) // and the hold expires
	require.NoError(t, err)
	_, err = k.ledger.Post(traced, k.business, transfer(a, b, 1000))
	require.True(t, errs.Is(err, errs.InsufficientFunds), "%v", err)
	_, err = k.ledger.Post(t.Context(), k.business, transfer(a, b, 1))
	require.NoError(t, err)

	require.Equal(t, models.HoldExpired, k.holdOf(t, hold).Status)
	rows, err := k.db.Pool.Query(context.Background(), `SELECT type, trace_context FROM webhook_events
		WHERE business_id = $1 AND type <> 'account.created' ORDER BY id DESC LIMIT 3`, k.business)
	require.NoError(t, err)
	defer rows.Close()
	var kept []string
	for rows.Next() {
		var kind string
		var text *string
		require.NoError(t, rows.Scan(&kind, &text))
		if text != nil {
			kept = append(kept, kind)
			post := s.named("ledger.post")[0].SpanContext()
			require.Equal(t, "00-"+post.TraceID().String()+"-"+post.SpanID().String()+"-01", *text)
		}
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"transaction.created"}, kept, "the first transfer's alone")
	refused := s.named("ledger.post")[1]
	require.Equal(t, "insufficient_funds", attributeOf(refused, "txn.error.code").AsString())
	require.Empty(t, refused.Status().Description)
}
