package scenario

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// TestYardsticksComeFirst keeps each figure in the round of its yardstick.
func TestYardsticksComeFirst(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"": true}
	for _, s := range All() {
		require.True(t, seen[s.Yardstick], "%s runs before %s", s.Name, s.Yardstick)
		require.False(t, seen[s.Name], "%s is there twice", s.Name)
		require.NotEmpty(t, s.Summary)
		require.NotNil(t, s.measure)
		require.False(t, s.Once && s.Yardstick != "", "%s is not in every round of its yardstick", s.Name)
		seen[s.Name] = true
		for _, f := range s.Also {
			require.False(t, seen[f.Name], "%s is there twice", f.Name)
			seen[f.Name] = true
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	chosen, err := Select([]string{"hot", "drain"})
	require.NoError(t, err)
	require.Equal(t, []string{"raw", "uniform", "hot", "river", "drain"}, namesOf(chosen))

	chosen, err = Select(nil)
	require.NoError(t, err)
	require.Len(t, chosen, len(All()))

	_, err = Select([]string{"fast"})
	require.ErrorContains(t, err, `"fast"`)
}

func TestMakeEvents(t *testing.T) {
	t.Parallel()
	businesses := []models.BusinessID{models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()}
	events, err := makeEvents(businesses, 5)
	require.NoError(t, err)
	require.Len(t, events, 5)
	for i, event := range events {
		require.Len(t, event.Body, bodySize)
		require.True(t, json.Valid(event.Body))
		require.Equal(t, businesses[i%2], event.BusinessID)
	}
}
