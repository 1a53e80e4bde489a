package docs_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	link       = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	fenced     = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	inlineCode = regexp.MustCompile("`[^`]*`")
	titles     = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// TestLinksLead: every relative link of every page leads to a file that is there, and
// to a heading that is in it.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, p := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(fenced.ReplaceAllString(p.text, ""), ""), -1) {
			target := match[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			checked++
			file, anchor, _ := strings.Cut(target, "#")
			name := p.name
			if file != "" {
				name = path.Join(path.Dir(p.name), file)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
				t.Errorf("%s: %s leads nowhere", p.name, target)
				continue
			}
			if anchor != "" && !anchors(t, name)[anchor] {
				t.Errorf("%s: %s has no such heading", p.name, target)
			}
		}
	}
	require.Greater(t, checked, 100)
}

// anchors are the fragments that GitHub gives the headings of a page.
func anchors(t *testing.T, name string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, match := range titles.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		slug := strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
				return unicode.ToLower(c)
			default:
				return -1
			}
		}, linkText.ReplaceAllString(match[1], "$1"))
		unique := slug
		for n := 1; found[unique]; n++ {
			unique = slug + "-" + strconv.Itoa(n)
		}
		found[unique] = true
	}
	return found
}
