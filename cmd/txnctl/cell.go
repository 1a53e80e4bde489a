package main

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// none stands in a table for what is not there.
const none = "-"

func orNone(text string) string {
	if text == "" {
		return none
	}
	return text
}

func timeCell(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func optionalTimeCell(t *time.Time) string {
	if t == nil {
		return none
	}
	return timeCell(*t)
}

func pairsCell(pairs map[string]string) string {
	texts := make([]string, 0, len(pairs))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		texts = append(texts, key+"="+pairs[key])
	}
	return orNone(strings.Join(texts, ", "))
}

func optionalCell(text *string) string {
	if text == nil {
		return none
	}
	return orNone(*text)
}
