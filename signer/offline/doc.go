// Package offline lets a zone be signed whose key-signing key is on a machine
// without a network. The zone's server writes a key signing request (KSR): which
// zone-signing keys the DNSKEY set has, from when on. Where the KSK is, a signed key
// response (SKR) is made of it: the DNSKEY, CDS and CDNSKEY sets and signatures
// over them, for months ahead. The server takes from it what is good at each time.
//
// Both are text in the forms of Knot DNS (keymgr) and BIND (dnssec-ksr), which
// differ in how they write times; either is read, and either is written.
//
// A File does not change once it is made, and any goroutine may use it. What is read
// is bounded, and an SKR is taken only as a whole: Verify goes through all of it.
// RFC 4034, RFC 4035 §2.2, RFC 7344; for the practice RFC 6781 §3.4.3.
package offline

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Kind is what a file is.
type Kind string

// The kinds, by the words in their text.
const (
	Request  Kind = "KeySigningRequest"
	Response Kind = "SignedKeyResponse"
)

// ErrUncovered says that a response has nothing good for a time.
var ErrUncovered = errors.New("the signed key response has no signatures for this time")

// File is a request or a response.
type File struct {
	Kind    Kind
	Zone    dns.Name
	Bundles []Bundle // in the order of their times, at least one
	Made    string   // when and by what, as the file says
	name    string
}

// Bundle is what stands at the apex from a time on, until the next one's.
type Bundle struct {
	From    time.Time
	Records []dns.Record // DNSKEY, CDS, CDNSKEY
	Sigs    []dns.Record // RRSIG over them; none in a request
}

// Keys returns the DNSKEY set.
func (b *Bundle) Keys() []dns.DNSKEY {
	var keys []dns.DNSKEY
	for _, r := range b.Records {
		if k, err := dns.ParseDNSKEY(r.Data); r.Type == dns.TypeDNSKEY && err == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// Has reports whether a key is in the DNSKEY set.
func (b *Bundle) Has(k dns.DNSKEY) bool {
	return slices.ContainsFunc(b.Records, func(r dns.Record) bool {
		return r.Type == dns.TypeDNSKEY && string(r.Data) == string(k.RData())
	})
}

// set returns the records of a type.
func (b *Bundle) set(t dns.Type) dnssec.RRset {
	s := dnssec.RRset{Type: t, Class: dns.ClassIN}
	for _, r := range b.Records {
		if r.Type == t {
			s.Owner, s.TTL = r.Name, r.TTL
			s.RData = append(s.RData, r.Data)
		}
	}
	return s
}

// Good returns from when to when all signatures of the bundle are good.
func (b *Bundle) Good() (from, until time.Time) {
	for i, r := range b.Sigs {
		s, err := dns.ParseRRSIG(r.Data)
		if err != nil {
			return time.Time{}, time.Time{}
		}
		inception, expiration := near(s.Inception, b.From), near(s.Expiration, b.From)
		if i == 0 || inception.After(from) {
			from = inception
		}
		if i == 0 || expiration.Before(until) {
			until = expiration
		}
	}
	return from, until
}

// near is the time of a serial number of seconds next to another time (RFC 4034
// §3.1.5).
func near(serial uint32, t time.Time) time.Time {
	return time.Unix(t.Unix()+int64(int32(serial-uint32(t.Unix()))), 0).UTC()
}

// Bundle returns what stands at the apex at a time.
func (f *File) Bundle(at time.Time) (*Bundle, error) {
	var found *Bundle
	for i := range f.Bundles {
		if !f.Bundles[i].From.After(at) {
			found = &f.Bundles[i]
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w (%s): %s begins at %s", ErrUncovered, stamp(at), f.name, stamp(f.Bundles[0].From))
	}
	from, until := found.Good()
	if at.Before(from) || !at.Before(until) {
		return nil, fmt.Errorf("%w (%s): those of %s of %s are good until %s: make a request for the time to come, have it signed where the KSK is, and put the response here", ErrUncovered, stamp(at), f.name, stamp(found.From), stamp(until))
	}
	return found, nil
}

// At returns the DNSKEY, CDS and CDNSKEY sets and their RRSIGs at a time.
func (f *File) At(at time.Time) ([]dns.Record, error) {
	b, err := f.Bundle(at)
	if err != nil {
		return nil, err
	}
	return slices.Concat(b.Records, b.Sigs), nil
}

// Next returns when what At returns changes the next time; zero: never.
func (f *File) Next(at time.Time) time.Time {
	for _, b := range f.Bundles {
		if b.From.After(at) {
			return b.From
		}
	}
	return time.Time{}
}

// Until returns when the last signature ends: before then, the next response has to
// be there.
func (f *File) Until() time.Time {
	_, until := f.Bundles[len(f.Bundles)-1].Good()
	return until
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
