package webhook

import (
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// Bounds of an endpoint's pace.
const (
	MaxConcurrency = 512
	MaxRateLimit   = 10_000
)

// Fields are what the owner of an endpoint decides.
type Fields struct {
	URL         string
	EventTypes  []string
	Description *string
	Ordered     bool
	// MaxConcurrency caps requests in flight; 0 means DefaultMaxConcurrency.
	MaxConcurrency int
	// RateLimit caps requests per second; nil means no limit.
	RateLimit *int
	Headers   map[string]string
	Metadata  map[string]string
}

// check returns a ValidationFailed that lists everything wrong.
func (f *Fields) check(allowInsecure bool) error {
	var v errs.Validation
	checkURL(&v, f.URL, allowInsecure)
	checkEventTypes(&v, f.EventTypes)
	if f.Description != nil {
		models.CheckLength(&v, "description", *f.Description, 0, models.MaxDescription)
	}
	v.Check(f.MaxConcurrency >= 0 && f.MaxConcurrency <= MaxConcurrency,
		"max_concurrency", "must be from 1 to %d", MaxConcurrency)
	v.Check(f.RateLimit == nil || *f.RateLimit >= 1 && *f.RateLimit <= MaxRateLimit,
		"rate_limit", "must be from 1 to %d a second", MaxRateLimit)
	checkHeaders(&v, f.Headers)
	models.Metadata(f.Metadata).Check(&v, "metadata")
	return v.Err()
}
