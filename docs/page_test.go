package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the repository.
var root = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// page is a Markdown file.
type page struct {
	name string // relative to root, with slashes
	text string
	// blocks are its fenced blocks in order.
	blocks []block
}

// block is a fenced block of a page.
type block struct {
	line     int
	section  string // the heading above it
	language string
	text     string
	// mark is what an HTML comment in the line before says: `<!-- drill: dump -->`.
	mark string
	// adjacent says that nothing stands between the block before and this one.
	adjacent bool
}

var (
	mark    = regexp.MustCompile(`^\s*<!-- ([a-z]+: [^ ]+) -->$`)
	fence   = regexp.MustCompile("^( *)(```+)([a-z0-9]*)$")
	heading = regexp.MustCompile(`^#{1,6} +(.*)$`)
)

// pages returns every Markdown file of the repository.
func pages(t *testing.T) []page {
	t.Helper()
	var found []page
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"bin", "node_modules", "testdata"}, entry.Name())) {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			found = append(found, readPage(t, name))
		}
		return nil
	}))
	require.Greater(t, len(found), 30, "there are more pages than that")
	return found
}

func readPage(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	p := page{name: name, text: string(text)}
	var open *block
	var indent, ticks, section, marked string
	adjacent := false
	for number, line := range strings.Split(p.text, "\n") {
		if open != nil {
			if strings.TrimSpace(line) == ticks {
				p.blocks = append(p.blocks, *open)
				open, adjacent = nil, true
				continue
			}
			open.text += strings.TrimPrefix(line, indent) + "\n"
			continue
		}
		if match := fence.FindStringSubmatch(line); match != nil {
			indent, ticks = match[1], match[2]
			open = &block{line: number + 1, section: section, language: match[3], mark: marked, adjacent: adjacent}
			marked = ""
			continue
		}
		if match := heading.FindStringSubmatch(line); match != nil {
			section = match[1]
		}
		if match := mark.FindStringSubmatch(line); match != nil {
			marked = match[1]
		} else if strings.TrimSpace(line) != "" {
			adjacent = false
		}
	}
	require.Nil(t, open, "%s: a block has no end", name)
	return p
}

// commands splits a block of shell into what a reader pastes one by one: each is the
// shortest run of lines that a shell can read.
func (b block) commands(t *testing.T) []string {
	t.Helper()
	var found []string
	current := ""
	for line := range strings.Lines(b.text) {
		current += line
		switch text := strings.TrimSpace(current); {
		case text == "":
			current = ""
		case strings.HasSuffix(text, "\\"), exec.CommandContext(t.Context(), "sh", "-n", "-c", current).Run() != nil:
		default:
			found = append(found, strings.TrimRight(current, "\n"))
			current = ""
		}
	}
	require.Empty(t, current, "no shell can read this")
	return found
}
