// Package bench puts load on a running API, wherever it is, and says how fast it
// answered and whether the books are right afterwards. How the service compares
// with what PostgreSQL alone can do is measured by `make bench`.
package bench

import (
	"context"
	"crypto/rand"
	"math"
	"net/http"
	"time"

	"github.com/txn-service/txn/pkg/client"
)

// Mode is which accounts the load moves money between.
type Mode string

// The modes: between any two accounts, from one account to all others, between
// two accounts in both directions, and as Uniform in atomic batches.
const (
	Uniform Mode = "uniform"
	Hot     Mode = "hot"
	Pair    Mode = "pair"
	Batch   Mode = "batch"
)

// Modes lists them all.
func Modes() []Mode { return []Mode{Uniform, Hot, Pair, Batch} }

// Options say what load to make.
type Options struct {
	// URL is the API's address, Key an API key with the scopes accounts:read,
	// accounts:write and transactions:write.
	URL, Key string
	// Connections is how many requests may be under way at once.
	Connections int
	// Duration is how long new requests are sent.
	Duration time.Duration
	// Rate is how many requests are due per second, whether or not earlier ones have
	// been answered; 0 sends the next request of a connection when the last one has
	// been answered.
	Rate float64
	// Accounts is how many accounts are made for the load. They stay.
	Accounts int
	// AccountIDs are accounts to use instead.
	AccountIDs []string
	// Funds is what each account is credited with first, in minor units; 0: nothing.
	Funds int64
	Mode  Mode
	// BatchSize is how many movements a request of the mode Batch has.
	BatchSize int

	// Live is told every second how it goes.
	Live func(Snapshot)
	// Say tells what takes long.
	Say func(format string, args ...any)
}

// callTimeout is what a request of the load waits for its answer.
const callTimeout = 15 * time.Second

// verifyTimeout bounds what comes after the load: more than the minute of a rate
// limit.
const verifyTimeout = 2 * time.Minute

// Run makes accounts, puts the load on, and compares the balances with what was
// acknowledged. When ctx ends during the load, that is over, what is in flight is
// awaited, and the result says what there was. An error means that there was no
// load at all.
func Run(ctx context.Context, options Options) (Result, error) {
	wire := &http.Client{Transport: transport(options.Connections)}
	defer wire.CloseIdleConnections()
	once, err := client.New(options.URL, options.Key, client.WithHTTPClient(wire), client.WithTimeout(callTimeout),
		client.WithRetries(0)) // a failure that a caller would see is one
	if err != nil {
		return Result{}, err
	}
	// Whoever limits the load limits the questions after it, too.
	patient, err := client.New(options.URL, options.Key, client.WithHTTPClient(wire), client.WithTimeout(callTimeout),
		client.WithRetries(math.MaxInt), client.WithMaxWait(verifyTimeout))
	if err != nil {
		return Result{}, err
	}
	// Keys and names of this run are its own.
	run := rand.Text()

	accounts, err := openAccounts(ctx, once, run, options)
	if err != nil {
		return Result{}, explain(err)
	}
	load := newLoad(once, run, options, accounts)
	options.Say("Load for %s over %d connections, Ctrl-C ends it early …", options.Duration, options.Connections)
	load.run(ctx)

	result := load.result()
	if load.interrupted {
		ctx = context.WithoutCancel(ctx) // what is left is short, and a second Ctrl-C ends it
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	load.settle(ctx, patient)
	result.Verification = load.verify(ctx, patient)
	return result, nil
}

// transport keeps up to that many connections, each with one request at a time:
// HTTP/2 would make one connection of all. It goes through no proxy.
func transport(connections int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols: &protocols, MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections,
	}
}
