package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

// River runs the job queue of that name (https://riverqueue.com) on the work
// that a dispatcher does: for every queued job an HMAC and a POST.
type River struct {
	// Path is the program of this module's directory river.
	Path string
	// DatabaseURL is an empty database.
	DatabaseURL string
	// ReceiverURL is what jobs post to.
	ReceiverURL string
	// Jobs are queued before the clock starts.
	Jobs int
	// BodyBytes is the size of what is posted.
	BodyBytes int
}

// Run queues the jobs, works them and returns the rate from the start of the
// workers to the last answer.
func (r River) Run(ctx context.Context) (Sample, error) {
	cmd := command(ctx, r.Path)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+r.DatabaseURL, "RECEIVER_URL="+r.ReceiverURL,
		"JOBS="+strconv.Itoa(r.Jobs), "BODY_BYTES="+strconv.Itoa(r.BodyBytes))
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return Sample{}, fmt.Errorf("river: %w: %s", err, lastLines(failure.String()))
	}
	var result struct {
		Jobs    int64   `json:"jobs"`
		Seconds float64 `json:"seconds"`
	}
	if err := json.Unmarshal(out.Bytes(), &result); err != nil || result.Seconds <= 0 {
		return Sample{}, fmt.Errorf("river: no result in its output: %s", lastLines(out.String()))
	}
	return Sample{Rate: float64(result.Jobs) / result.Seconds, Done: result.Jobs}, nil
}
