// Package soak runs an `onoma serve` with a resolver under a mixed load for as long as is wanted, in a small internet where
// answers are lost, servers go down and come back, and the network is gone for moments, while the configuration is read again
// and again. At the end nothing may have grown, neither memory nor goroutines nor sockets, no answer may have changed, and
// every question that failed has an outage, or a zone that is broken, to blame.
//
// `go test` runs it for twenty seconds, ten with -short; `make soak` for half an hour, and writes docs/soak.md.
package soak
