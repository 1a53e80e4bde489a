package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows on standard error how far a long command is. Where that is no
// terminal, it shows nothing: scripts read results, not bars.
type progress struct{ bar *progressbar.ProgressBar }

// unknownTotal is for work whose end cannot be told beforehand.
const unknownTotal = -1

// newProgress begins a bar; what is counted is a plural noun.
func (s *session) newProgress(what string, total int64) *progress {
	if !isTerminal(s.err) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)}
}

// at says how much is done, of a total that may have become known since.
func (p *progress) at(done, total int64) {
	if p.bar == nil {
		return
	}
	if total > 0 {
		p.bar.ChangeMax64(max(total, done))
	}
	_ = p.bar.Set64(done) // a terminal that went away is no reason to stop
}

// end takes the bar away, so that the result stands alone.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
