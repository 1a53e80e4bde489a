// Command river is a yardstick for webhook delivery: River
// (https://riverqueue.com) working queued jobs with 500 workers, each job an
// HMAC-SHA256 and a POST. It is told everything by environment variables:
//
//	DATABASE_URL  an empty PostgreSQL database
//	RECEIVER_URL  where to post
//	JOBS          how many jobs are queued before the clock starts
//	BODY_BYTES    the size of what is posted
//
// It prints {"jobs":…,"seconds":…}: from the start of the workers to the last
// answer.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// The fastest settings found for this load.
const (
	workers       = 500
	fetchCooldown = 2 * time.Millisecond
	fetchPoll     = 20 * time.Millisecond
	insertBatch   = 5000
	idlePerHost   = 2000
	postTimeout   = 10 * time.Second
	stopTimeout   = 10 * time.Second
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "river:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	jobs, err := strconv.Atoi(os.Getenv("JOBS"))
	if err != nil {
		return fmt.Errorf("JOBS: %w", err)
	}
	size, err := strconv.Atoi(os.Getenv("BODY_BYTES"))
	if err != nil {
		return fmt.Errorf("BODY_BYTES: %w", err)
	}
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	worker := newPoster(os.Getenv("RECEIVER_URL"), size, int64(jobs))
	client, err := newClient(ctx, pool, worker)
	if err != nil {
		return err
	}
	if err := enqueue(ctx, client, jobs); err != nil {
		return err
	}
	start := time.Now()
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-worker.finished
	elapsed := time.Since(start)
	stopping, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := client.Stop(stopping); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"jobs": jobs, "seconds": elapsed.Seconds()})
}

func newClient(ctx context.Context, pool *pgxpool.Pool, worker *poster) (*river.Client[pgx.Tx], error) {
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	registered := river.NewWorkers()
	river.AddWorker(registered, worker)
	return river.NewClient(driver, &river.Config{
		Workers:           registered,
		FetchCooldown:     fetchCooldown,
		FetchPollInterval: fetchPoll,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
	})
}

func enqueue(ctx context.Context, client *river.Client[pgx.Tx], jobs int) error {
	for done := 0; done < jobs; {
		batch := make([]river.InsertManyParams, min(insertBatch, jobs-done))
		for i := range batch {
			batch[i].Args = post{Number: done + i}
		}
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return err
		}
		done += len(batch)
	}
	return nil
}

// post is a job.
type post struct {
	Number int `json:"number"`
}

// Kind names the job to River.
func (post) Kind() string { return "post" }

// poster works jobs.
type poster struct {
	river.WorkerDefaults[post]

	client   *http.Client
	url      string
	body     []byte
	left     atomic.Int64
	finished chan struct{} // closed after the last answer
}

func newPoster(url string, size int, jobs int64) *poster {
	p := &poster{
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: idlePerHost, MaxConnsPerHost: idlePerHost},
			Timeout:   postTimeout,
		},
		url: url, body: bytes.Repeat([]byte("x"), size), finished: make(chan struct{}),
	}
	p.left.Store(jobs)
	return p
}

// Work signs and posts once.
func (p *poster) Work(ctx context.Context, _ *river.Job[post]) error {
	mac := hmac.New(sha256.New, []byte("k"))
	mac.Write(p.body)
	_ = mac.Sum(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	if p.left.Add(-1) == 0 {
		close(p.finished)
	}
	return nil
}
