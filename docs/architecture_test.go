package docs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArchitectureNamesEveryPackage, and every program.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text := readPage(t, "docs/architecture.md").text
	for _, folder := range []string{"cmd", "pkg"} {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		require.NoError(t, err)
		for _, entry := range entries {
			if entry.IsDir() {
				require.Contains(t, text, "`"+folder+"/"+entry.Name()+"`")
			}
		}
	}
}
