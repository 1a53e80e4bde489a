package apikey

import (
	"context"
	"encoding/hex"
	"math/bits"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
)

// guesses are keys that are right up to a place, by how much of them is right: the
// key itself with other symbols from there on, and the checksum that goes with it.
func guesses(key string) map[string]string {
	other := func(from, to int) string {
		body := []byte(key[:bodyLength])
		for i := from; i < to; i++ {
			body[i] = base62[(strings.IndexByte(base62, body[i])+1)%len(base62)]
		}
		sum := checksum(body)
		return string(body) + string(sum[:])
	}
	return map[string]string{
		"nothing":                  other(len(keyPrefix), bodyLength),
		"all but the first symbol": other(len(keyPrefix), len(keyPrefix)+1),
		"what lists show of a key": other(displayLength, bodyLength),
		"the first half":           other(bodyLength/2, bodyLength),
		"the second half":          other(len(keyPrefix), bodyLength/2),
		"all but the last symbol":  other(bodyLength-1, bodyLength),
	}
}

// statements records what is sent to the database (pgx.QueryTracer).
type statements struct {
	mu   sync.Mutex
	sent []pgx.TraceQueryStartData
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, data)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) take() []pgx.TraceQueryStartData {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// The work on a wrong key is the same however much of it is right: one statement,
// the same one, with nothing but a hash in which no trace of the likeness is left.
func TestALookUpDoesNotDependOnHowMuchOfAKeyIsRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config, err := pgxpool.ParseConfig(b.db.Pool.Config().ConnString())
	require.NoError(t, err)
	var recorded statements
	config.ConnConfig.Tracer = &recorded
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	v := NewVerifier(&database.DB{Pool: pool})

	key := b.issue(t, New{Name: "ci"}).Secret
	right := hashOf(key)
	seen := map[string]string{}
	for rightly, guess := range guesses(key) {
		require.True(t, wellFormed(guess), "a guess that is worth a look-up")
		_, err := v.Verify(t.Context(), guess)
		require.Equal(t, unauthenticated(), err, rightly)
		sent := recorded.take()
		require.Len(t, sent, 1, rightly)
		require.Equal(t, verifySQL, sent[0].SQL, rightly)
		require.Len(t, sent[0].Args, 1)
		asked, ok := sent[0].Args[0].([][]byte)
		require.True(t, ok)
		require.Len(t, asked, 1)
		require.Len(t, asked[0], len(right))
		different := 0
		for i := range right {
			different += bits.OnesCount8(right[i] ^ asked[0][i])
		}
		require.InDelta(t, len(right)*4, different, 50, "%s is right: half of the 256 bits differ, give or take six deviations", rightly)
		require.NotContains(t, seen, hex.EncodeToString(asked[0]))
		seen[hex.EncodeToString(asked[0])] = rightly

		// A second time it is the cache that knows, by the same hash.
		_, err = v.Verify(t.Context(), guess)
		require.Equal(t, unauthenticated(), err, rightly)
		require.Empty(t, recorded.take())
		require.True(t, v.unknown.Contains(hashOf(guess)))
	}

	// The checksum can be computed by anybody: that it is refused without a look-up
	// tells a caller what he knew.
	mistyped := []byte(key)
	mistyped[keyLength-1] = base62[(strings.IndexByte(base62, mistyped[keyLength-1])+1)%len(base62)]
	_, err = v.Verify(t.Context(), string(mistyped))
	require.Equal(t, unauthenticated(), err)
	require.Empty(t, recorded.take())

	_, err = v.Verify(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, recorded.take(), 1, "the right key costs what a wrong one does")
}

// BenchmarkVerifyGuess measures the part of a look-up that runs here, by how much of
// the key is right: the figures do not differ.
//
//	go test -bench VerifyGuess -count 10 ./pkg/apikey
func BenchmarkVerifyGuess(b *testing.B) {
	key := generate()
	v := NewVerifier(nil)
	v.keep(hashOf(key), &verdict{principal: &Principal{}})
	for rightly, guess := range guesses(key) {
		b.Run(strings.ReplaceAll(rightly, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if !wellFormed(guess) || v.cached(hashOf(guess), time.Now()) != nil {
					b.Fatal("a guess is right")
				}
			}
		})
	}
}
