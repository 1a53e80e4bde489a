// Command dependencies writes docs/dependencies.md: every module that is linked into
// the programs, with its version, its licence and, if it is required directly, the
// reason for it. It looks at the module cache and needs no network once the
// programs have been built.
//
//	go run ./pkg/build/dependencies
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// page is where the page is, below the root of the repository.
const page = "docs/dependencies.md"

func main() {
	text, err := write(context.Background(), ".")
	if err == nil {
		err = os.WriteFile(filepath.FromSlash(page), text, 0o644) //nolint:gosec // G306: a page of the repository, for everybody
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dependencies:", err)
		os.Exit(1)
	}
}
