package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/bench/internal/load"
)

// profileFile is the name of the API's profile in Options.ProfileDir.
const profileFile = "api-uniform.pprof"

// profile saves a CPU profile of the API under the uniform load. It is a run of
// its own, which no figure comes from, because profiling costs something.
func (b *Bench) profile(ctx context.Context) error {
	if err := os.MkdirAll(b.options.ProfileDir, 0o750); err != nil {
		return err
	}
	path := filepath.Join(b.options.ProfileDir, profileFile)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		l := load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections}
		_, err := b.transfer(ctx, b.main.api.URL, l, b.options.Duration+time.Second)
		return err
	})
	group.Go(func() error { return fetchProfile(ctx, b.main.api.AdminURL, b.options.Duration, path) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	b.say("CPU profile of the API: go tool pprof -top %s", path)
	return nil
}

func fetchProfile(ctx context.Context, adminURL string, duration time.Duration, path string) error {
	url := adminURL + "/debug/pprof/profile?seconds=" + strconv.Itoa(int(duration.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the API's admin listener answers %s to /debug/pprof/profile", answer.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, answer.Body)
	return errors.Join(err, file.Close())
}
