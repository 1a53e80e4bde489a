package main

import "github.com/spf13/cobra"

// listFlags are what every list takes.
type listFlags struct {
	limit  int
	cursor string
}

// maxLimit is the largest page, as in the API.
const maxLimit = 200

func (f *listFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.limit, "limit", 50, "`number` of results, 1 to 200")
	cmd.Flags().StringVar(&f.cursor, "cursor", "", "continue a list at its next_`cursor`")
}

func (f *listFlags) check() error {
	if f.limit < 1 || f.limit > maxLimit {
		return usagef("--limit must be between 1 and %d", maxLimit)
	}
	return nil
}
