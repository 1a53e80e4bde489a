package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func runs(values ...float64) []Run {
	list := make([]Run, len(values))
	for i, value := range values {
		list[i] = Run{Value: value, P50: value / 10, P99: value}
	}
	return list
}

func TestMedian(t *testing.T) {
	t.Parallel()
	value := func(v float64) float64 { return v }
	require.Zero(t, median(nil, value))
	require.InDelta(t, 2, median([]float64{3, 1, 2}, value), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}, value), 0)
}

// TestRatio takes the median of the ratios of neighbours, which is not the ratio
// of the medians.
func TestRatio(t *testing.T) {
	t.Parallel()
	r := New("x", "", PerSecond, Goal{Ratio: 0.5}, runs(100, 90, 10), "raw", runs(200, 100, 10))
	require.InDelta(t, 90, r.Value, 0)
	require.InDelta(t, 9, r.P50, 0)
	require.InDelta(t, 0.9, r.Ratio, 1e-9)
	require.True(t, *r.Met)

	r = New("x", "", Milliseconds, Goal{}, runs(4), "raw", runs(1))
	require.InDelta(t, 4, r.Ratio, 0)
	require.InDelta(t, 3, r.Above, 0)
	require.Nil(t, r.Met)

	r = New("x", "", PerSecond, Goal{Ratio: 1}, runs(100, 90), "raw", nil)
	require.Zero(t, r.Ratio)
	require.Nil(t, r.Met, "nothing to judge by")

	r = New("x", "", PerSecond, Goal{}, runs(100, 90), "raw", runs(50))
	require.InDelta(t, 2, r.Ratio, 0, "a yardstick that broke counts while it ran")
}

func TestGoals(t *testing.T) {
	t.Parallel()
	require.True(t, *New("x", "", MiB, Goal{Most: 128}, runs(128), "", nil).Met)
	require.False(t, *New("x", "", MiB, Goal{Most: 128}, runs(129), "", nil).Met)
	latency := []Run{{Value: 5, P50: 5, P99: 60}}
	require.False(t, *New("x", "", Milliseconds, Goal{MostP99: 50}, latency, "", nil).Met)
	require.False(t, *New("x", "", Milliseconds, Goal{Most: 4, MostP99: 60}, latency, "", nil).Met, "all of a goal")
	require.True(t, *New("x", "", Milliseconds, Goal{Most: 5, MostP99: 60}, latency, "", nil).Met)
	require.True(t, *New("x", "", Milliseconds, Goal{MostRatio: 1.5}, runs(15), "raw", runs(10)).Met)
	require.False(t, *New("x", "", Milliseconds, Goal{MostRatio: 1.5}, runs(16), "raw", runs(10)).Met)
	require.True(t, *New("x", "", Milliseconds, Goal{MostAbove: 1.5}, runs(3), "raw", runs(1.5)).Met)
	require.False(t, *New("x", "", Milliseconds, Goal{MostAbove: 1.5}, runs(3), "raw", runs(1)).Met)
	require.True(t, *New("x", "", Milliseconds, Goal{MostAbove: 1.5}, runs(1), "raw", runs(3)).Met, "better than the yardstick")
	require.Nil(t, New("x", "", Milliseconds, Goal{MostAbove: 1.5}, runs(3), "raw", nil).Met, "nothing to judge by")
	require.False(t, *New("x", "", PerSecond, Goal{Ratio: 1}, runs(99), "raw", runs(100)).Met)
}

func TestWrite(t *testing.T) {
	t.Parallel()
	r := &Report{
		Rounds: 3, Duration: 8,
		Results: []Result{
			New("raw", "the yardstick", PerSecond, Goal{}, runs(5050), "", nil),
			New("uniform", "the figure", PerSecond, Goal{Ratio: 1, MostP99: 40}, runs(2525), "raw", runs(5050)),
			New("single", "", Milliseconds, Goal{MostAbove: 1.5}, []Run{
				{Value: 3, Memory: map[string]float64{"api": 41, "dispatcher": 20}}, {Value: 3, Memory: map[string]float64{"dispatcher": 30}},
			}, "raw-single", runs(2, 2)),
		},
		Missing: []Missing{{Name: "batch", Reason: "no route"}, {Name: "drain", Reason: "broke", Failed: true}},
	}
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	require.Regexp(t, `uniform +2525 /s +252 ms +2525 ms +- +raw +0\.50× +≥ 1\.00×, p99 ≤ 40.0 ms +missed +the figure`, table.String())
	require.Regexp(t, `single +3\.00 ms .* api 41, dispatcher 30 MiB +raw-single +\+1\.00 ms +≤ \+1\.50 ms +met`, table.String())
	require.Contains(t, table.String(), "batch skipped: no route")
	require.Contains(t, table.String(), "drain FAILED: broke")

	var text strings.Builder
	require.NoError(t, r.WriteJSON(&text))
	var read Report
	require.NoError(t, json.Unmarshal([]byte(text.String()), &read))
	require.Equal(t, *r, read)
}
