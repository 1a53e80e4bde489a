package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const head = `# Dependencies

<!-- Written by go run ./pkg/build/dependencies -->

The modules that are linked into ` + "`api`, `dispatcher` and `txnctl`" + `, with their licences by
[SPDX identifier](https://spdx.org/licenses/). A test keeps this page true, and refuses
direct requirements without a reason and licences other than
%s. Swagger UI, which
` + "`github.com/swaggest/swgui`" + ` embeds for ` + "`/docs`" + `, is Apache-2.0 too.

## Required directly

| module | version | licence | what for |
|---|---|---|---|
`

const transitive = `
## Required by those

| module | version | licence |
|---|---|---|
`

const forTests = `
## For tests alone

Not linked into any program.

| module | version | what for |
|---|---|---|
`

// write returns the page. Its errors are what somebody has to decide: a licence
// that is not known or not allowed, a requirement without a reason.
func write(ctx context.Context, root string) ([]byte, error) {
	inPrograms, err := linked(ctx, root)
	if err != nil {
		return nil, err
	}
	direct, err := required(ctx, root)
	if err != nil {
		return nil, err
	}
	var text, indirectly, tests bytes.Buffer
	fmt.Fprintf(&text, head, strings.Join(allowed, ", "))
	var undecided []error
	isDirect, isLinked := among(direct), among(inPrograms)
	for _, m := range inPrograms {
		licence, err := licenceOf(m)
		if err != nil {
			undecided = append(undecided, err)
		}
		if isDirect(m) {
			fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", m.Path, m.Version, licence, reasons[m.Path])
		} else {
			fmt.Fprintf(&indirectly, "| `%s` | %s | %s |\n", m.Path, m.Version, licence)
		}
	}
	for _, m := range direct {
		if !isLinked(m) {
			fmt.Fprintf(&tests, "| `%s` | %s | %s |\n", m.Path, m.Version, strings.TrimPrefix(reasons[m.Path], "tests: "))
		}
		undecided = append(undecided, checkReason(m, isLinked(m)))
	}
	for path := range reasons {
		if !isDirect(module{Path: path}) {
			undecided = append(undecided, fmt.Errorf("%s has a reason and is not required", path))
		}
	}
	text.WriteString(transitive + indirectly.String() + forTests + tests.String())
	return text.Bytes(), errors.Join(undecided...)
}

func among(modules []module) func(module) bool {
	return func(m module) bool {
		return slices.ContainsFunc(modules, func(other module) bool { return other.Path == m.Path })
	}
}

// checkReason wants a reason, and one that is true: what no program is made of is
// for tests. What tests require may be in the programs by way of others.
func checkReason(m module, linked bool) error {
	switch reason := reasons[m.Path]; {
	case reason == "":
		return fmt.Errorf("%s is required: what for? (reason.go)", m.Path)
	case !linked && !strings.HasPrefix(reason, "tests: "):
		return fmt.Errorf("%s is in no program: what for, if not %q? (reason.go)", m.Path, reason)
	}
	return nil
}
