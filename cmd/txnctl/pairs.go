package main

import (
	"errors"
	"strings"

	"github.com/txn-service/txn/pkg/models"
)

// pairsFlag gathers repeated key=value flags. A value may hold anything, commas
// and equals signs included; an empty flag is no pair, and so clears what is
// there.
type pairsFlag struct{ pairs models.Metadata }

// String is the value of the flag (pflag.Value).
func (f *pairsFlag) String() string { return strings.TrimPrefix(pairsCell(f.pairs), none) }

// Set reads one flag (pflag.Value).
func (f *pairsFlag) Set(text string) error {
	if f.pairs == nil {
		f.pairs = models.Metadata{}
	}
	if text == "" {
		return nil
	}
	key, value, found := strings.Cut(text, "=")
	if !found {
		return errors.New("must be key=value")
	}
	f.pairs[key] = value
	return nil
}

// Type names the flag's type in help texts (pflag.Value).
func (f *pairsFlag) Type() string { return "key=value" }
