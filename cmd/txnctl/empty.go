package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags that say something by being empty: no pairs, no limit, the first page, no
// file. An empty name is refused by what it would name.
var mayBeEmpty = []string{"config", "cursor", "metadata", "name", "rate-limit", "reason"}

// refuseEmptyFlags finds flags that are given and say nothing. Most often a
// script's variable is not set: its command would be for every business, endpoint
// or time, or issue a key with more scopes than were meant.
func refuseEmptyFlags(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		text := flag.Value.String()
		if list, ok := flag.Value.(pflag.SliceValue); ok && len(list.GetSlice()) == 0 {
			text = ""
		}
		if text == "" && err == nil && !slices.Contains(mayBeEmpty, flag.Name) {
			err = usagef("--%s is given and empty: is a variable not set?", flag.Name)
		}
	})
	return err
}
