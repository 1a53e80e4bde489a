// Package ledger is the one place where balances change.
//
// # Group commit
//
// A row lock held over a network round trip and an fsync caps one hot account at
// about a thousand movements a second, so operations do not open transactions of
// their own. They wait in a bounded queue, fair between businesses; a few
// committers take whatever has gathered, lock all its accounts with one
// SELECT … FOR UPDATE ordered by (business_id, id), judge the operations one
// after the other against the locked rows in memory, write everything with
// set-based statements and commit once. Nothing, refusals included, is answered
// before the COMMIT is confirmed.
//
// # Isolation
//
// A shared batch never waits for a row lock: it skips locked rows, and
// operations that miss one are run again in a batch of their business alone,
// which waits (the patient lane). A statement error never fails a neighbour: the
// batch is rolled back and run again in halves down to single operations, and
// the business whose operation broke it is served apart for a while.
package ledger
