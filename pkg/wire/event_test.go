package wire_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

func TestEventEnvelopeIsWhatItsShapeSays(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC)
	business := models.NewID[models.BusinessPrefix]()
	event, err := wire.NewEvent(business, models.EventAccountCreated, at, map[string]string{"name": "<&>\u2028"})
	require.NoError(t, err)

	var decoded wire.Event
	require.NoError(t, json.Unmarshal(event.Body, &decoded, json.RejectUnknownMembers(true)))
	require.Equal(t, event.ID, decoded.ID)
	require.Equal(t, business, decoded.BusinessID)
	require.Equal(t, models.EventAccountCreated, decoded.Type)
	require.Equal(t, map[string]any{"name": "<&>\u2028"}, decoded.Data)

	again, err := wire.Marshal(wire.Event{
		ID: event.ID, Type: event.Type, CreatedAt: wire.Time(at), BusinessID: business, Data: map[string]string{"name": "<&>\u2028"},
	})
	require.NoError(t, err)
	require.Equal(t, string(again), string(event.Body))
	require.Contains(t, string(event.Body), `"created_at":"2026-03-04T05:06:07.000089Z"`)
}
