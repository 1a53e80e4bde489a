// Package apikey issues, rotates, revokes and verifies the credentials of
// businesses.
//
// # Format
//
// A key is `txn_`, 32 random characters and a checksum of 6 characters, all
// base62 (0-9A-Za-z): 42 characters that always match
//
//	\btxn_[0-9A-Za-z]{38}\b
//
// for secret scanners to look for. The random part carries 190 bits, of which a
// list shows 24 (the display prefix). The checksum is the CRC-32 (IEEE) of
// everything before it, so that a typo, a truncated key and a scanner's false
// positive are told apart from a real key without a look-up. (Ids of
// transactions begin with `txn_` too, and have 26 characters after it.)
//
// # At rest
//
// Only the SHA-256 of a key is stored: with 190 random bits there is nothing
// that a slow hash would protect. The key itself exists in clear in the answer
// that issued it, and neither errors nor the audit log repeat it.
//
// # When a change takes effect
//
// Verifier trusts what it has read for less than a second, counted from when
// the query started, and judges expiry at each use. Revocation, expiry by
// rotation, and suspension of the business therefore take effect on every
// replica within one second of their commit, without any replica being told.
package apikey
