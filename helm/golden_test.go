package chart_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/golden again")

// TestGolden shows what a change of the chart changes in a cluster. Strictness of
// the types is decode's business.
func TestGolden(t *testing.T) {
	t.Parallel()
	sets := matrix(t)
	for name, values := range sets {
		t.Run(name, func(t *testing.T) {
			r := render(t, values)
			var text bytes.Buffer
			for _, o := range r.objects {
				// The dashboard is a file of its own.
				if o.GetName() == "payments-txn-dashboard" {
					continue
				}
				fmt.Fprintf(&text, "---\n# %s\n%s\n", o.template, o.text)
			}
			fmt.Fprintf(&text, "--- # NOTES.txt\n%s", r.notes)
			file := filepath.Join("testdata", "golden", name+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(file, text.Bytes(), 0o644))
			}
			golden, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(golden), text.String(), "if this is what you want: go test . -update")
		})
	}
	files, err := filepath.Glob("testdata/golden/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, len(sets), "each set of values has one golden file, and no other is left")
}
