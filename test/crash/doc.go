// Package crash kills onoma in the middle of changes, again and again, and holds
// it to what it has acknowledged.
//
// Four doors change four zones at once: UPDATE, the control socket, a zone file
// and a primary. Each change adds a pair of records. After every kill -9 and
// restart, everything that was acknowledged is there, no pair is half there, no
// serial number is lower than one that was seen before, and the difference since
// the last verified version comes by IXFR and leads to what AXFR has.
//
// ONOMA_CRASHES says how many times; `make crash` has 300.
package crash
