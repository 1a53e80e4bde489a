package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/tw"
)

const (
	// gap is between two columns.
	gap = 2
	// narrow is how far a column of text gives way to the others.
	narrow = 16
	// ellipsis ends what was cut.
	ellipsis = "…"
)

// grid is a table before it is laid out. Without titles, its first column has
// them.
type grid struct {
	titles []string
	rows   [][]string
	// wrap says of which columns the text goes on below instead of being cut.
	wrap []bool
}

// exact is what would be of no use cut: ids, names with dots in them, times,
// numbers.
var exact = regexp.MustCompile(`^([a-z]+_[0-9a-z]{26}|[a-z]+\.[a-z_]+|\d{4}-\d\d-\d\dT[0-9:]+Z|-?\d+)$`)

// fit lays the table out for a terminal: text that does not fit is cut, and
// goes on below where the column says so. Where even that is too wide, every row
// becomes a block of lines. Width 0 is no terminal: all stays as it is, for
// programs.
func (g grid) fit(width int) grid {
	for _, row := range g.rows {
		for i, cell := range row {
			row[i] = oneLine(cell)
		}
	}
	if width == 0 || len(g.rows) == 0 {
		return g
	}
	widths, least := g.measure()
	if total(widths) <= width {
		return g
	}
	if total(least) > width && g.titles != nil {
		return g.blocks().fit(width)
	}
	shrink(widths, least, width)
	for _, row := range g.rows {
		for i, cell := range row {
			if twwidth.Width(cell) > widths[i] {
				row[i] = g.shorten(i, cell, widths[i])
			}
		}
	}
	return g
}

// measure returns how wide each column is, and how wide it must be.
func (g grid) measure() (widths, least []int) {
	widths, least = make([]int, len(g.rows[0])), make([]int, len(g.rows[0]))
	for i, title := range g.titles {
		widths[i], least[i] = len(title), len(title)
	}
	for _, row := range g.rows {
		for i, cell := range row {
			w := twwidth.Width(cell)
			widths[i] = max(widths[i], w)
			if g.titles == nil && i == 0 || exact.MatchString(cell) {
				least[i] = max(least[i], w)
			} else {
				least[i] = max(least[i], min(w, narrow))
			}
		}
	}
	return widths, least
}

func total(widths []int) int {
	sum := gap * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// shrink takes from the widest column that can give, until all fit or none can.
func shrink(widths, least []int, width int) {
	for total(widths) > width {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

func (g grid) shorten(column int, cell string, width int) string {
	if g.wrap[column] {
		// The last word of a line that runs over is still one to copy; in the midst of
		// a table it would push the others aside.
		return wrapText(cell, width, g.titles != nil)
	}
	return twwidth.Truncate(cell, width, ellipsis)
}

// blocks turns every row into lines of titles and cells, with a line between
// rows.
func (g grid) blocks() grid {
	b := grid{wrap: []bool{false, true}}
	for i, row := range g.rows {
		if i > 0 {
			b.rows = append(b.rows, []string{"", ""})
		}
		for j, cell := range row {
			b.rows = append(b.rows, []string{g.titles[j], cell})
		}
	}
	return b
}

// oneLine keeps a cell from breaking its row, or from driving the terminal.
func oneLine(cell string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, cell)
}

// wrapText breaks a text between words; with anywhere, also words that are longer
// than a line.
func wrapText(text string, width int, anywhere bool) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && twwidth.Width(line)+1+twwidth.Width(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for anywhere && twwidth.Width(word) > width {
			piece := twwidth.Truncate(word, width)
			lines, word = append(lines, piece), word[len(piece):]
		}
		line = word
	}
	return strings.Join(append(lines, line), "\n")
}

func (s *session) printTable(g grid) error {
	g = g.fit(s.width)
	off := tw.Rendition{
		Borders: tw.BorderNone,
		Settings: tw.Settings{
			Separators: tw.SeparatorsNone, Lines: tw.LinesNone,
		},
	}
	var text strings.Builder
	table := tablewriter.NewTable(&text,
		tablewriter.WithRendition(off),
		tablewriter.WithPadding(tw.Padding{Right: strings.Repeat(" ", gap), Overwrite: true}),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAlignment(tw.AlignLeft),
		// Cells fit already, or their rows are for grep and awk.
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
	)
	if g.titles != nil {
		table.Header(g.titles)
	}
	for _, row := range g.rows {
		if err := table.Append(row); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	if err := table.Render(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(s.out, strings.TrimRight(line, " \n")); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}
