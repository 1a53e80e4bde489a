package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"maps"
	"slices"
	"time"
)

// fingerprint is the SHA-256 over the operation and its canonical request,
// without the key: fields in a fixed order, each with its length, so that no two
// requests share an encoding.
func (p *Post) fingerprint() [32]byte {
	f := newCanonical("post")
	f.text(string(p.Type))
	f.bytes(p.Source[:])
	f.bytes(p.Destination[:])
	f.number(p.Amount)
	f.text(p.Currency)
	f.optionalText(p.Description)
	f.optionalText(p.Reference)
	f.metadata(p.Metadata)
	f.optionalTime(p.EffectiveAt)
	f.optionalNumber(p.Conditions.SourceVersion)
	f.optionalNumber(p.Conditions.SourceMinBalanceAfter)
	return f.sum()
}

// canonical writes fields to a hash without ambiguity.
type canonical struct{ hash hash.Hash }

func newCanonical(operation string) canonical {
	c := canonical{sha256.New()}
	c.text(operation)
	return c
}

func (c canonical) sum() (digest [32]byte) {
	c.hash.Sum(digest[:0])
	return digest
}

func (c canonical) number(n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	c.hash.Write(b[:])
}

func (c canonical) bytes(b []byte) {
	c.number(int64(len(b)))
	c.hash.Write(b)
}

func (c canonical) text(s string) { c.bytes([]byte(s)) }

func (c canonical) present(yes bool) bool {
	if yes {
		c.number(1)
	} else {
		c.number(0)
	}
	return yes
}

func (c canonical) optionalText(s *string) {
	if c.present(s != nil) {
		c.text(*s)
	}
}

func (c canonical) optionalNumber(n *int64) {
	if c.present(n != nil) {
		c.number(*n)
	}
}

func (c canonical) optionalTime(t *time.Time) {
	if c.present(t != nil) {
		c.number(t.UnixMicro())
	}
}

func (c canonical) metadata(pairs map[string]string) {
	c.number(int64(len(pairs)))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		c.text(key)
		c.text(pairs[key])
	}
}
