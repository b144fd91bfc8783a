// Package propagation tests that `onoma serve` knows what its secondaries serve: NSD, Knot and BIND, each asked by the test
// itself, too.
package propagation
