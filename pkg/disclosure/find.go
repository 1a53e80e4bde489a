package disclosure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// In returns where a text has secrets, those of this process and whatever has the
// form of one. What it returns may be printed.
func In(text string) []string {
	known.RLock()
	defer known.RUnlock()
	return known.find(text)
}

// InFile is In for the secrets that all processes of a run have recorded in a
// file.
func InFile(secrets, text string) ([]string, error) {
	lines, err := os.ReadFile(secrets)
	if err != nil {
		return nil, err
	}
	all := newIndex()
	for line := range strings.Lines(string(lines)) {
		spelling, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", secrets, err)
		}
		all.add(spelling)
	}
	return all.find(text), nil
}

// index finds any of many spellings in one pass over a text.
type index struct {
	// spellings are by their first bytes, as many as the shortest has.
	spellings map[string][]string
}

func newIndex() *index { return &index{spellings: make(map[string][]string)} }

// add reports whether the spelling is new and long enough.
func (x *index) add(spelling string) bool {
	if len(spelling) < shortest {
		return false
	}
	begins := spelling[:shortest]
	for _, other := range x.spellings[begins] {
		if other == spelling {
			return false
		}
	}
	x.spellings[begins] = append(x.spellings[begins], spelling)
	return true
}

func (x *index) find(text string) (found []string) {
	for _, at := range forms.FindAllStringIndex(text, -1) {
		found = append(found, place(text, at[0], "an API key or a signing secret"))
	}
	for at := 0; at+shortest <= len(text); at++ {
		for _, spelling := range x.spellings[text[at:at+shortest]] {
			if strings.HasPrefix(text[at:], spelling) {
				found = append(found, place(text, at, "a secret of a test"))
			}
		}
	}
	return found
}

// place describes where something begins without showing it.
func place(text string, at int, what string) string {
	line := 1 + strings.Count(text[:at], "\n")
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	return fmt.Sprintf("%s in line %d, behind %q", what, line, text[max(begin, at-40):at])
}
