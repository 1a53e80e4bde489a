// Package dbtest gives every test a PostgreSQL database of its own, with the schema of today's migrations, and a Redis
// database of its own. It is for tests alone: no program may import it.
//
// The servers are those named by TXN_TEST_DATABASE_URL and TXN_TEST_REDIS_URL (`make test` starts one private pair per
// run and sets both). Where a variable is not set, the first use in a test binary starts a private server, which goes
// away with the test binary, however that ends.
//
// The migrations run once per server, into a template database that New clones. Its name carries a hash of the
// migration files, so that test binaries that run in parallel share it and a change of the migrations makes a new one.
package dbtest
