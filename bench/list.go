package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/txn-service/txn/bench/internal/scenario"
)

// list writes the scenarios as a table.
func list(scenarios []scenario.Scenario, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tYARDSTICK\tGOAL\tWHAT")
	for _, s := range scenarios {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, cmp.Or(s.Yardstick, "-"), s.Goal.Text(s.Unit), s.Summary)
		for _, f := range s.Also {
			fmt.Fprintf(table, "%s\t-\t%s\t%s (measured with %s)\n", f.Name, f.Goal.Text(f.Unit), f.Summary, s.Name)
		}
	}
	return table.Flush()
}
