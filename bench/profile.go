package main

import (
	"fmt"
	"path/filepath"
)

// How a profile's questions travel.
const (
	overUDP  = "udp"
	overTCP  = "tcp"   // many questions on each connection
	overTCP1 = "tcp-1" // a connection for each question
	overTLS  = "dot"
	overQUIC = "doq"
	overHTTP = "doh"
	changes  = "update" // not questions, but requests to change the zone, over UDP
)

// profile is zones, questions, and the way in which they are asked.
type profile struct {
	name        string
	title       string
	about       string
	over        string
	do          bool              // ask for DNSSEC records
	loads       bool              // its load time is worth telling
	floor       bool              // measure the floor beside it
	alone       bool              // too large to have all servers in memory at once
	optional    bool              // measured only when named
	delegations int               // of the TLD, for what a delegation costs
	leaveOut    map[string]string // server: why
	data        func(h *harness) (dataset, error)
}

// zoneFile is a zone and the file with its records.
type zoneFile struct{ origin, path string }

// dataset is what a profile's servers load and are asked.
type dataset struct {
	zones   []zoneFile
	dir     string // the zones' directory, where there are many
	list    string // file with a line `NAME FILE` for each zone, where there are many
	queries string // in dnsperf's form
	nsec3   bool   // signed that way
}

const updateAbout = "64 clients, each of which adds one record by UPDATE over UDP, waits for the answer, and adds the next. What is " +
	"acknowledged is on the disk (synced) and served. For answers read: acknowledged changes."

// many says whether the zones come by a list instead of one by one.
func (d dataset) many() bool { return d.list != "" }

var noNSEC3 = map[string]string{
	"coredns": "it has no NSEC3",
}

// profiles lists what can be measured, in the order of the page.
func profiles(o options) []profile {
	small := func(h *harness) (dataset, error) { return hostsData(h.cache) }
	tld := func(n int) func(h *harness) (dataset, error) {
		return func(h *harness) (dataset, error) { return tldData(h.cache, n) }
	}
	list := []profile{
		{name: "hosts", title: "1,000 hosts", floor: true, data: small,
			about: "A small zone; A and AAAA of its hosts, one name in ten does not exist."},
		{name: "root", title: "The root zone, signed, DO", do: true,
			data:  func(h *harness) (dataset, error) { return rootData(h.cache, o.rootZone) },
			about: "The root as published in 2020; referrals to its TLDs with their DS or proof of none, one name in ten does not exist."},
		{name: "tld", title: fmt.Sprintf("A TLD with %s delegations", thousands(o.delegations)), loads: true, floor: true,
			delegations: o.delegations, data: tld(o.delegations),
			about: "Two name servers each, towards a host of every tenth delegation with glue, DS on 30 %; nine referrals to one name that does not exist."},
		{name: "tld-signed", title: "The same TLD signed, DO", loads: true, do: true, delegations: o.delegations, leaveOut: noNSEC3,
			data:  func(h *harness) (dataset, error) { return h.signedTLD(o.delegations) },
			about: "P-256, NSEC3 with opt-out, no iterations and no salt; the same questions, with DO."},
		{name: "tld10m", title: fmt.Sprintf("A TLD with %s delegations", thousands(10*o.delegations)), loads: true, alone: true, optional: true,
			delegations: 10 * o.delegations, data: tld(10 * o.delegations), leaveOut: map[string]string{"pdns": "it would take 7 GB", "coredns": "it would take 9 GB"},
			about: "The same kind of zone, ten times the size. One server at a time is in memory."},
		{name: "hosting", title: fmt.Sprintf("Hosting, %s zones", thousands(o.hosted)), loads: true,
			data:  func(h *harness) (dataset, error) { return hostingData(h.cache, o.hosted) },
			about: "Five records each: SOA, two NS, an address, MX. Questions for addresses, mail, text that is not there, and one name in ten that does not exist."},
		{name: "nxdomain", title: "Flood of random names", data: func(h *harness) (dataset, error) { return floodData(h.cache, o.delegations) },
			about: "A million different names that do not exist, half of them below the TLD, half below the small zone."},
		{name: "tcp", title: "TCP, many questions on a connection", over: overTCP, floor: true, data: small, about: "Eight connections with 50 questions in flight on each."},
		{name: "tcp-1", title: "TCP, a connection for each question", over: overTCP1, floor: true, data: small, about: "Connect, ask, read, close; 32 at a time."},
		{name: "dot", title: "DNS over TLS", over: overTLS, data: small, about: "Eight connections with 50 questions in flight on each."},
		{name: "doq", title: "DNS over QUIC", over: overQUIC, data: small, about: "Sixteen connections with eight questions in flight on each, a stream for each question, a new connection after a thousand."},
		{name: "doh", title: "DNS over HTTPS", over: overHTTP, data: small, about: "HTTP/2, POST; eight connections with 50 questions in flight on each."},
		{name: "update", title: "Changes, a zone of 10,000 names", over: changes, data: tld(10_000), about: updateAbout},
		{name: "update-large", title: fmt.Sprintf("Changes, a zone of %s names", thousands(o.delegations)), over: changes,
			delegations: o.delegations, data: tld(o.delegations), about: updateAbout},
	}
	for i := range list {
		if list[i].over == "" {
			list[i].over = overUDP
		}
	}
	return list
}

func profileNames() []string {
	var names []string
	for _, p := range profiles(options{}) {
		names = append(names, p.name)
	}
	return names
}

func defaultProfiles() []string {
	var names []string
	for _, p := range profiles(options{}) {
		if !p.optional {
			names = append(names, p.name)
		}
	}
	return names
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// in returns a path within a data set's directory.
func (d dataset) in(name string) string { return filepath.Join(d.dir, name) }
