package apikey

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A key that is not exactly what was issued is refused without a look-up.
func FuzzKey(f *testing.F) {
	key := generate()
	for _, seed := range []string{key, key[:keyLength-1], key + "0", strings.ToUpper(key), strings.Repeat("é", keyLength/2), "", "txn_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !wellFormed(text) {
			return
		}
		require.Len(t, text, keyLength)
		require.True(t, strings.HasPrefix(text, keyPrefix))
		sum := checksum([]byte(text[:bodyLength]))
		require.Equal(t, string(sum[:]), text[bodyLength:])
		// One symbol less, or another one, and it is none.
		require.False(t, wellFormed(text[:keyLength-1]))
		for i := len(keyPrefix); i < keyLength; i++ {
			other := []byte(text)
			other[i] = base62[(strings.IndexByte(base62, other[i])+1)%len(base62)]
			require.False(t, wellFormed(string(other)), "%s passes for %s", other, text)
		}
	})
}
