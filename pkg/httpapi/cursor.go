package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// cursorVersion is the first byte of a cursor. A cursor is a position in one
// list's order: version, checksum over the list's name and the position, the
// position. The checksum binds it to its list and tells garbage; it keeps
// nobody out, and need not, since every query names its tenant anyway.
const cursorVersion = 1

const cursorHead = 5 // version and checksum, in bytes

var cursorEncoding = base64.RawURLEncoding.Strict()

func encodeCursor(list string, position []byte) string {
	raw := make([]byte, cursorHead, cursorHead+len(position))
	raw[0] = cursorVersion
	binary.BigEndian.PutUint32(raw[1:], cursorChecksum(list, position))
	return cursorEncoding.EncodeToString(append(raw, position...))
}

// decodeCursor returns the position, which has size bytes, and whether the
// cursor is one of the list.
func decodeCursor(list, cursor string, size int) ([]byte, bool) {
	if len(cursor) != cursorEncoding.EncodedLen(cursorHead+size) {
		return nil, false
	}
	raw, err := cursorEncoding.DecodeString(cursor)
	if err != nil || raw[0] != cursorVersion {
		return nil, false
	}
	position := raw[cursorHead:]
	return position, binary.BigEndian.Uint32(raw[1:]) == cursorChecksum(list, position)
}

func cursorChecksum(list string, position []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE([]byte(list)), crc32.IEEETable, position)
}
