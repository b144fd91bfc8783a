// Package catalog has tests of catalog zones (RFC 9432) with other name servers: they follow the catalogs that we make, and
// we read those that they make.
package catalog
