package ledger_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
)

// cutter is a TCP proxy in front of PostgreSQL that breaks connections around
// COMMIT.
type cutter struct {
	listener net.Listener
	target   string
	// mode says what to do with the next commits.
	mode  atomic.Int32
	cuts  atomic.Int32
	seen  atomic.Int32
	conns sync.WaitGroup
}

const (
	// cutWrites drops the write statements: PostgreSQL never sees COMMIT. The zero
	// mode cuts nothing.
	cutWrites int32 = iota + 1
	// cutAfterWrites passes them on and breaks the connection at once, while
	// PostgreSQL may still be at work.
	cutAfterWrites
	// cutAnswer drops PostgreSQL's confirmation of COMMIT.
	cutAnswer
)

// The write statements carry the event type, the confirmation the command tag.
var (
	writesMark = []byte("transaction.created")
	commitMark = []byte("COMMIT\x00")
)

func newCutter(t *testing.T, databaseURL string) (*cutter, string) {
	t.Helper()
	parsed, err := url.Parse(databaseURL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{listener: listener, target: parsed.Host}
	go c.serve()
	t.Cleanup(func() {
		listener.Close()
		c.conns.Wait()
	})
	parsed.Host = listener.Addr().String()
	return c, parsed.String()
}

func (c *cutter) serve() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.target)
		if err != nil {
			client.Close()
			continue
		}
		c.conns.Go(func() { c.pipe(server, client, writesMark, cutWrites, cutAfterWrites) })
		c.conns.Go(func() { c.pipe(client, server, commitMark, cutAnswer, -1) })
	}
}

// pipe copies until it meets the mark while one of its two modes is on and this
// is every third time.
func (c *cutter) pipe(to, from net.Conn, mark []byte, drop, pass int32) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		chunk := buffer[:n]
		mode := c.mode.Load()
		cut := (mode == drop || mode == pass) && bytes.Contains(chunk, mark) && c.seen.Add(1)%3 == 0
		if cut {
			c.cuts.Add(1)
		}
		if !cut || mode == pass {
			if _, writeErr := to.Write(chunk); writeErr != nil {
				return
			}
		}
		if cut || err != nil {
			return
		}
	}
}

func TestConnectionCutAroundCommit(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]int32{
		"before the writes": cutWrites, "after the writes": cutAfterWrites, "before the confirmation": cutAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb := dbtest.New(t)
			proxy, proxied := newCutter(t, testdb.URL)
			k := newKitOn(t, testdb.URL, ledger.Options{})
			a, b := k.account(t, 1_000_000), k.account(t, 0)
			db, err := database.Open(t.Context(), database.Options{URL: proxied})
			require.NoError(t, err)
			t.Cleanup(db.Close)
			l := startLedger(t, db, ledger.Options{})
			proxy.mode.Store(mode)

			var group errgroup.Group
			var fresh, unknown atomic.Int64
			const clients, each = 16, 15
			for range clients {
				group.Go(func() error {
					for range each {
						post := transfer(a, b, 1)
						for {
							result, err := l.Post(t.Context(), k.business, post)
							if errs.Is(err, errs.Unavailable) {
								unknown.Add(1)
								continue // the same key is safe
							}
							if err != nil {
								return err
							}
							if !result.Replayed {
								fresh.Add(1)
							}
							break
						}
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			require.Positive(t, proxy.cuts.Load(), "nothing was cut")
			require.Equal(t, int64(clients*each), k.get(t, b).Balance, "every transfer exactly once")
			require.LessOrEqual(t, clients*each-fresh.Load(), unknown.Load(), "a first answer was called a replay")
			k.requireSound(t)
		})
	}
}

func TestOutageEndsInUnavailableAndRecovers(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	testdb := dbtest.NewOn(t, server)
	k := newKitOn(t, testdb.URL, ledger.Options{})
	a, b := k.account(t, 1000), k.account(t, 0)
	post := transfer(a, b, 10)

	require.NoError(t, server.StopImmediate(t.Context()))
	_, err := k.ledger.Post(t.Context(), k.business, post)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.Positive(t, errs.As(err).RetryAfter)

	require.NoError(t, server.Start(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.Eventually(t, func() bool {
		_, err = k.ledger.Post(ctx, k.business, post)
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, int64(10), k.get(t, b).Balance)
	k.requireSound(t)
}
