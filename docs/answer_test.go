package docs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// answers compares what a page shows with what came. Ids, times and the like are
// others in every run, so one of the page stands for one of the run, both ways.
type answers struct {
	real  map[string]string // by what the page shows
	shown map[string]string // by what came
}

func newAnswers() *answers { return &answers{real: map[string]string{}, shown: map[string]string{}} }

var (
	ids     = regexp.MustCompile(`\b(biz|key|acct|txn|hold|wh|evt|dlv|rpl)_[0-9a-z]{26}\b`)
	moments = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z`)
	seconds = regexp.MustCompile(`\b\d{10}\b`)
	sums    = regexp.MustCompile(`v1,[0-9A-Za-z+/]{43}=`)
)

// pattern turns a text of a page into what may come instead of it. `…` is anything
// within a line and, alone in a line, any lines.
func pattern(shown string) *regexp.Regexp {
	text := ids.ReplaceAllString(shown, "$1\x00")
	text = moments.ReplaceAllString(text, "\x01")
	text = seconds.ReplaceAllString(text, "\x02")
	text = regexp.QuoteMeta(sums.ReplaceAllString(text, "\x03"))
	text = regexp.MustCompile(`(?m)^ *… *\n`).ReplaceAllString(text, "(?s:.*\n)?")
	text = regexp.MustCompile(`(?m)^ *… *$`).ReplaceAllString(text, "(?s:.*)")
	text = strings.NewReplacer("…", ".*", "\x00", "_[0-9a-z]{26}", "\x01", moments.String(), "\x02", seconds.String(), "\x03", sums.String()).
		Replace(text)
	return regexp.MustCompile("^" + text + "$")
}

// compare returns why an answer is not what the page shows in a language.
func (a *answers) compare(language, shown, came string) error {
	switch language {
	case "json":
		return a.compareJSON(shown, came)
	case "http":
		return a.compareHTTP(shown, came)
	default:
		return a.compareText(strings.TrimSpace(shown), strings.TrimSpace(came))
	}
}

// compareHTTP wants the status line, the headers that are shown, and the body.
func (a *answers) compareHTTP(shown, came string) error {
	came = strings.ReplaceAll(came, "\r\n", "\n")
	wantHead, wantBody, _ := strings.Cut(strings.TrimSpace(shown), "\n\n")
	head, body, _ := strings.Cut(came, "\n\n")
	lines := strings.Split(head, "\n")
	for i, want := range strings.Split(wantHead, "\n") {
		found := i == 0 && lines[0] == want
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ": ")
			wantName, wantValue, _ := strings.Cut(want, ": ")
			found = found || i > 0 && strings.EqualFold(name, wantName) && a.compareText(wantValue, value) == nil
		}
		if !found {
			return fmt.Errorf("no %q in\n%s", want, head)
		}
	}
	switch {
	case wantBody == "":
		return nil
	case strings.HasPrefix(wantBody, "{"):
		return a.compareJSON(wantBody, body)
	default:
		return a.compareText(wantBody, strings.TrimSpace(body))
	}
}

func (a *answers) compareJSON(shown, came string) error {
	var want, got any
	if err := json.Unmarshal([]byte(shown), &want); err != nil {
		return fmt.Errorf("what is shown is no JSON: %w", err)
	}
	if err := json.Unmarshal([]byte(came), &got); err != nil {
		return fmt.Errorf("what came is no JSON: %w: %s", err, came)
	}
	if err := a.compareValue("", want, got); err != nil {
		return fmt.Errorf("%w in\n%s", err, came)
	}
	return nil
}

// compareValue lets an object have more fields than are shown, but not a list.
func (a *answers) compareValue(at string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		fields, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", at)
		}
		for name := range maps.Keys(want) {
			value, found := fields[name]
			if !found {
				return fmt.Errorf("no %s.%s", at, name)
			}
			if err := a.compareValue(at+"."+name, want[name], value); err != nil {
				return err
			}
		}
		return nil
	case []any:
		items, ok := got.([]any)
		if !ok || len(items) != len(want) {
			return fmt.Errorf("%s has not %d items", at, len(want))
		}
		for i := range want {
			if err := a.compareValue(fmt.Sprintf("%s[%d]", at, i), want[i], items[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		text, ok := got.(string)
		if !ok {
			return fmt.Errorf("%s is no text", at)
		}
		if err := a.compareText(want, text); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		return nil
	default:
		if want != got {
			return fmt.Errorf("%s is %v, not %v", at, got, want)
		}
		return nil
	}
}

// compareText also wants the same id in the same places.
func (a *answers) compareText(shown, came string) error {
	if !pattern(shown).MatchString(came) {
		return fmt.Errorf("%q is not %q", came, shown)
	}
	if strings.Contains(shown, "…") {
		return nil // which id is which cannot be told
	}
	wanted, got := ids.FindAllString(shown, -1), ids.FindAllString(came, -1)
	for i := range wanted {
		known, isKnown := a.real[wanted[i]]
		other, isTaken := a.shown[got[i]]
		if isKnown && known != got[i] || isTaken && other != wanted[i] {
			return fmt.Errorf("%s is not the %s from before", got[i], wanted[i])
		}
		a.real[wanted[i]], a.shown[got[i]] = got[i], wanted[i]
	}
	return nil
}
