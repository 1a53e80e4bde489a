package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences, by their SPDX identifiers, under which a module may be
// linked into programs that are Apache-2.0. MPL-2.0 asks for the source of its own
// files alone, which are linked unchanged.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// enough is how much of a licence's file must be recognised, in percent: the rest
// is names and headings.
const enough = 75

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.(md|txt))?$`)

// licenceOf reads what a module in the cache is licensed under. It returns an error
// for what is not recognised or not allowed: then somebody has to look.
func licenceOf(m module) (string, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w (is it downloaded?)", m.Path, err)
	}
	var found []string
	for _, entry := range entries {
		if !licenceFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, entry.Name()))
		if err != nil {
			return "", err
		}
		licences, err := recognise(text)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", m.Path, entry.Name(), err)
		}
		found = append(found, licences...)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%s has no licence", m.Path)
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " AND "), nil
}

// recognise returns the identifiers of the licences in a text.
func recognise(text []byte) ([]string, error) {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < enough {
		return nil, fmt.Errorf("only %.0f %% of it is a known licence", coverage.Percent)
	}
	var licences []string
	for _, match := range coverage.Match {
		switch {
		case match.IsURL:
		case !slices.Contains(allowed, match.ID):
			return nil, fmt.Errorf("%s is not among %s", match.ID, strings.Join(allowed, ", "))
		default:
			licences = append(licences, match.ID)
		}
	}
	return licences, nil
}
