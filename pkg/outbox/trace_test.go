package outbox

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// span returns a context within a span of the test's.
func span(t *testing.T, flags trace.TraceFlags, state string) context.Context {
	t.Helper()
	parsed, err := trace.ParseTraceState(state)
	require.NoError(t, err)
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: flags, TraceState: parsed,
	}))
}

func TestTraceContextSurvivesAsText(t *testing.T) {
	t.Parallel()
	require.Nil(t, TraceContext(t.Context()), "no span")
	require.Nil(t, TraceContext(span(t, 0, "")), "not sampled")

	text := TraceContext(span(t, trace.FlagsSampled, ""))
	require.Equal(t, "00-01020300000000000000000000000000-0405000000000000-01", *text)
	text = TraceContext(span(t, trace.FlagsSampled, "vendor=a,other=b"))
	require.Equal(t, "00-01020300000000000000000000000000-0405000000000000-01 vendor=a,other=b", *text)
	back := trace.SpanContextFromContext(WithTraceContext(t.Context(), *text))
	require.Equal(t, trace.TraceID{1, 2, 3}, back.TraceID())
	require.Equal(t, trace.SpanID{4, 5}, back.SpanID())
	require.True(t, back.IsSampled())
	require.True(t, back.IsRemote())
	require.Equal(t, "vendor=a,other=b", back.TraceState().String())

	long := "a=" + strings.Repeat("x", 250) + ",b=" + strings.Repeat("x", 250) + ",c=" + strings.Repeat("x", 250)
	require.Len(t, *TraceContext(span(t, trace.FlagsSampled, long)), 55, "more than anybody has to pass on")
	for _, garbage := range []string{"", "nothing", "00-0-0-01", strings.Repeat("f", 55), "\x00 \xff"} {
		require.False(t, trace.SpanContextFromContext(WithTraceContext(t.Context(), garbage)).IsValid(), garbage)
	}
}

// TestEventsKeepTheirTrace, whichever way they are written, and are read with it.
func TestEventsKeepTheirTrace(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	event := func() models.Event {
		return models.Event{
			BusinessID: business, ID: models.NewID[models.EventPrefix](), Type: models.EventAccountCreated, Body: []byte(`{}`), CreatedAt: database.Now(),
		}
	}
	traced, untraced, copied, plain, direct := event(), event(), event(), event(), event()
	key := k.endpoint(business, "")
	require.NoError(t, k.db.InTx(span(t, trace.FlagsSampled, "vendor=a"), func(tx *gorm.DB) error {
		if err := Append(tx, traced); err != nil {
			return err
		}
		_, err := AppendDirect(tx, direct, key.WebhookID)
		return err
	}))
	require.NoError(t, k.db.InTx(span(t, 0, ""), func(tx *gorm.DB) error { return Append(tx, untraced) }))
	copied.TraceContext = TraceContext(span(t, trace.FlagsSampled, ""))
	tx, err := k.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, AppendMany(t.Context(), tx, []models.Event{copied, plain}))
	require.NoError(t, tx.Commit(t.Context()))

	const parent = "00-01020300000000000000000000000000-0405000000000000-01"
	all := map[models.EventID]string{traced.ID: parent + " vendor=a", direct.ID: parent + " vendor=a", untraced.ID: "", copied.ID: parent, plain.ID: ""}
	keys := make([]EventKey, 0, len(all))
	for id := range all {
		keys = append(keys, EventKey{business, id})
	}
	messages, err := k.Messages(t.Context(), keys)
	require.NoError(t, err)
	require.Len(t, messages, len(all))
	for id, want := range all {
		got := messages[EventKey{business, id}].TraceContext
		if want == "" {
			require.Nil(t, got)
			continue
		}
		require.NotNil(t, got)
		require.Equal(t, want, *got)
	}
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_events WHERE trace_context IS NULL`))
}
