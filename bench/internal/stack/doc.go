// Package stack runs what a benchmark needs as production would run it: a
// private, durable PostgreSQL, a private Redis, and the service's binaries as
// processes of their own, logging to files. Everything lives in one temporary
// directory and ends with Close; only processes that were started here are
// ended.
package stack
