package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/stretchr/testify/require"
)

// render lays a table out for a terminal of that width.
func render(t *testing.T, width int, g grid) []string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, (&session{out: &out, width: width}).printTable(g))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if width > 0 {
		for _, line := range lines {
			require.LessOrEqual(t, twwidth.Width(line), width, line)
		}
	}
	return lines
}

const someID = "biz_01h455vb4pex5vsknk084sn02q"

func people(wrap bool) grid {
	return grid{
		titles: []string{"ID", "NAME", "AT"},
		rows: [][]string{
			{someID, "Grüße, " + strings.Repeat("a long name ", 8), "2026-11-22T15:29:34Z"},
			{someID, "短い名前 " + strings.Repeat("漢字", 10), "2026-11-22T15:29:34Z"},
		},
		wrap: []bool{false, wrap, false},
	}
}

func TestTablesAreCutForATerminalOnly(t *testing.T) {
	t.Parallel()
	whole := render(t, 0, people(false))
	require.Len(t, whole, 3)
	require.Contains(t, whole[1], strings.TrimSpace(strings.Repeat("a long name ", 8)), "a pipe gets everything")
	require.Equal(t, whole, render(t, 300, people(false)), "so does a terminal that is wide enough")

	cut := render(t, 80, people(false))
	require.Len(t, cut, 3)
	for _, line := range cut[1:] {
		require.Contains(t, line, someID, "an id is never cut")
		require.Contains(t, line, "2026-11-22T15:29:34Z")
		require.Contains(t, line, "…")
	}
}

func TestTextGoesOnBelow(t *testing.T) {
	t.Parallel()
	g := grid{
		titles: []string{"CHECK", "DETAIL", "WHAT TO DO"},
		rows:   [][]string{{"postgres.fsync", strings.Repeat("many words ", 12), strings.Repeat("good advice ", 12)}},
		wrap:   []bool{false, true, true},
	}
	text := strings.Join(render(t, 60, g), "\n")
	require.Equal(t, 12, strings.Count(text, "many"), text)
	require.Equal(t, 12, strings.Count(text, "advice"), text)
	require.NotContains(t, text, "…")
}

// TestWhatFitsNoWayBecomesBlocks: nothing of use is cut, and nothing runs over.
func TestWhatFitsNoWayBecomesBlocks(t *testing.T) {
	t.Parallel()
	lines := render(t, 50, people(false))
	require.Regexp(t, `^ID\s+`+someID+`$`, lines[0])
	require.Contains(t, lines, "", "a line between two")
	require.Equal(t, 8, strings.Count(strings.Join(lines, "\n"), "long"))
	require.Len(t, people(false).rows, 2)
}

func TestACellIsOneLine(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 80} {
		lines := render(t, width, grid{titles: []string{"NAME"}, rows: [][]string{{"a\nb\x1b[31mc\td"}}, wrap: []bool{false}})
		require.Equal(t, []string{"NAME", "a b [31mc d"}, lines)
	}
}

// TestTerminalOutputOfCommands: what is shown alone wraps, and JSON is never cut.
func TestTerminalOutputOfCommands(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	name := strings.TrimSpace(strings.Repeat("Acme and Sons ", 14))
	id := c.text(t, c.ok(t, "business", "create", "--name", name), "id")
	on := func(width int, args ...string) string {
		var out, errOut bytes.Buffer
		s := &session{in: strings.NewReader(""), out: &out, err: &errOut, width: width}
		require.Equal(t, exitDone, execute(t.Context(), s, append([]string{"--config", c.config}, args...)), errOut.String())
		return out.String()
	}
	require.Contains(t, on(120, "business", "list"), "…")
	shown := on(60, "business", "show", id)
	require.NotContains(t, shown, "…")
	require.Equal(t, 14, strings.Count(shown, "Sons"), shown)
	for line := range strings.Lines(shown) {
		require.LessOrEqual(t, twwidth.Width(strings.TrimSuffix(line, "\n")), 60)
	}
	for _, format := range []string{"json", "yaml"} {
		require.Contains(t, on(40, "business", "list", "-o", format), name)
	}
}
