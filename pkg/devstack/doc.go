// Package devstack runs a private PostgreSQL and a private Redis for `txnctl dev` and for the tests, from whatever
// server binaries the machine has.
//
// Both servers are direct children of the calling process, listen on 127.0.0.1 alone and require a random password,
// so that other users of the machine get nothing from them. They run in a process group of their own, because Ctrl-C
// in a terminal must reach the program that uses them first. They do not outlive the process that started them, even
// if it is killed: see guard.
//
// PostgreSQL refuses to run as root. Started by root, initdb and the server run as the user postgres, or nobody where
// there is none, and the cluster moves to a directory that this user can reach where the wanted one is not reachable:
// see placeCluster.
package devstack
