package provider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/transport"
)

// Server is one of another provider's.
type Server struct {
	Addr   netip.AddrPort
	Proto  transport.Proto   // TCP or TLS
	Client *transport.Client // knows whom to trust over TLS
	IsSure bool              // its certificate is checked
	Key    dns.Name          // of TSIG; the zero Name: none
}

// Asker asks servers.
type Asker struct {
	Keys    func(dns.Name) (dns.TSIGKey, bool)
	Clock   func() time.Time
	Timeout time.Duration // of a question; 5 s
}

// Said is what a server has at the apex, each set with its signatures.
type Said struct {
	Keys, CDS, CDNSKEY, SOA Set
	IsSure                  bool // it is the provider's server that has said so
}

// Set is records of the apex with the signatures over them.
type Set struct {
	dnssec.RRset
	Sigs []dns.RRSIG
}

// Bounds of what is read.
const (
	mostRecords = 64
	mostSigs    = 16
)

const patience = 5 * time.Second

// Ask asks a server for what it has at the apex of a zone.
func (a *Asker) Ask(ctx context.Context, s *Server, zone dns.Name) (*Said, error) {
	said := &Said{IsSure: s.IsSure || !s.Key.IsZero()}
	for _, q := range []struct {
		t  dns.Type
		to *Set
	}{{dns.TypeDNSKEY, &said.Keys}, {dns.TypeCDS, &said.CDS}, {dns.TypeCDNSKEY, &said.CDNSKEY}, {dns.TypeSOA, &said.SOA}} {
		m, err := a.ask(ctx, s, dns.Question{Name: zone, Type: q.t, Class: dns.ClassIN})
		if err == nil {
			*q.to, err = read(m, zone, q.t)
		}
		if err != nil {
			return nil, fmt.Errorf("asking %s for %s: %w", s.Addr, q.t, err)
		}
	}
	return said, nil
}

func (a *Asker) ask(ctx context.Context, s *Server, q dns.Question) (*dns.Message, error) {
	m := dns.NewQuery(uint16(rand.Uint32()), q, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	query, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	check := func(reply []byte) ([]byte, error) { return reply, nil }
	if !s.Key.IsZero() {
		if query, check, err = a.sign(query, s.Key); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	reply, err := s.Client.Exchange(ctx, s.Proto, s.Addr, query, nil)
	if err != nil {
		return nil, err
	}
	answer, err := check(reply.Msg)
	if err != nil {
		return nil, err
	}
	if m, err = dns.ParseMessage(answer); err != nil {
		return nil, errors.New("its answer cannot be read")
	}
	return m, nil
}

// sign signs a query, and returns what checks the answer and takes its signature off (RFC 8945).
func (a *Asker) sign(query []byte, name dns.Name) (signed []byte, check func([]byte) ([]byte, error), err error) {
	key, ok := a.Keys(name)
	if !ok {
		return nil, nil, fmt.Errorf("the key %s is not known", name)
	}
	query, mac, err := dns.SignTSIG(query, key, a.Clock(), nil)
	if err != nil {
		return nil, nil, err
	}
	return query, func(reply []byte) ([]byte, error) {
		n := 0
		s, err := dns.NewTSIGStream(key, mac)
		if err == nil {
			n, err = s.Verify(reply, a.Clock())
		}
		if err == nil {
			err = s.Complete()
		}
		if err != nil {
			return nil, fmt.Errorf("its answer is not signed by the key %s as it should be: %w", name, err)
		}
		return reply[:n], nil
	}, nil
}

// read finds a set of the apex in an answer; one that is not there is empty.
func read(m *dns.Message, zone dns.Name, t dns.Type) (s Set, err error) {
	switch {
	case m.RCode != dns.RCodeNoError:
		return s, errors.New("it answers " + m.RCode.String())
	case !m.Flags.Has(dns.FlagAA):
		return s, errors.New("it answers without authority (AA): it does not serve the zone")
	case m.Flags.Has(dns.FlagTC):
		return s, errors.New("its answer is truncated")
	}
	s.RRset = dnssec.RRset{Owner: zone, Type: t, Class: dns.ClassIN}
	for _, r := range m.Answer {
		switch {
		case !r.Name.Equal(zone) || r.Class != dns.ClassIN:
		case r.Type == t && len(s.RData) == mostRecords:
			return s, fmt.Errorf("it has more than %d records of the type", mostRecords)
		case r.Type == t:
			s.RData, s.TTL = append(s.RData, slices.Clone(r.Data)), r.TTL
		case r.Type == dns.TypeRRSIG && dns.SigCovers(r.Data) == t && len(s.Sigs) < mostSigs:
			sig, err := dns.ParseRRSIG(r.Data)
			if err != nil {
				return s, errors.New("a signature of its cannot be read")
			}
			s.Sigs = append(s.Sigs, sig)
		}
	}
	return s, nil
}
