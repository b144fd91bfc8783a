package resolver

import (
	"crypto/dsa" //lint:ignore SA1019 the scripts are of 2007
	"crypto/rand"
	"crypto/sha1"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// dsaNumber is that of DSA with SHA-1 (RFC 2536), which most scripts are signed with and nothing validates any more (RFC 8624).
const dsaNumber = 3

// modern makes a script, in place, one that is signed by keys of today: each key of DSA becomes another one, its DS the DS of
// that one, and each signature that is right becomes a right one of the same name, labels, TTL and times. What is wrong in the
// script stays wrong.
type modern struct {
	t    *testing.T
	keys map[dns.Name][]modernKey // by their zone in lower case
}

type modernKey struct {
	old dns.DNSKEY
	now *dnssec.Key
}

func modernise(t *testing.T, s *scenario) {
	m := modern{t: t, keys: map[dns.Name][]modernKey{}}
	for _, text := range s.head.all("trust-anchor") {
		if r, err := anchorIn(text); err == nil {
			m.learn(r)
		}
	}
	var messages []*dns.Message
	for _, g := range s.ranges {
		for _, e := range g.entries {
			messages = append(messages, &e.msg)
		}
	}
	for i := range s.steps {
		if e := s.steps[i].entry; e != nil {
			messages = append(messages, &e.msg)
		}
	}
	for _, msg := range messages {
		for _, r := range slices.Concat(msg.Answer, msg.Authority, msg.Additional) {
			m.learn(r)
		}
	}
	for _, msg := range messages { // signatures may stand in another section than what they are over
		all := m.section(slices.Concat(msg.Answer, msg.Authority, msg.Additional))
		a, b := len(msg.Answer), len(msg.Answer)+len(msg.Authority)
		msg.Answer, msg.Authority, msg.Additional = all[:a:a], all[a:b:b], all[b:]
	}
	for i, o := range s.head.options {
		if r, err := anchorIn(strings.Join(o.args, " ")); o.name == "trust-anchor" && err == nil {
			r.Data = m.data(r)
			s.head.options[i].args = []string{r.String()}
		}
	}
}

// learn makes a key for one of DSA.
func (m *modern) learn(r dns.Record) {
	k, err := dns.ParseDNSKEY(r.Data)
	if r.Type != dns.TypeDNSKEY || err != nil || k.Algorithm != dsaNumber {
		return
	}
	zone := r.Name.Fold()
	for _, have := range m.keys[zone] {
		if string(have.old.RData()) == string(r.Data) {
			return
		}
	}
	now, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, k.Flags)
	if err != nil {
		m.t.Fatal(err)
	}
	m.keys[zone] = append(m.keys[zone], modernKey{k, now})
}

// section makes records modern.
func (m *modern) section(list []dns.Record) []dns.Record {
	out := make([]dns.Record, len(list))
	for i, r := range list {
		out[i] = r
		out[i].Data = m.data(r)
	}
	for i, r := range list {
		if sig, err := dns.ParseRRSIG(r.Data); r.Type == dns.TypeRRSIG && err == nil && sig.Algorithm == dsaNumber {
			out[i].Data = m.signature(r.Name, sig, list, out).RData()
		}
	}
	return out
}

// data makes the data of a DNSKEY or DS modern.
func (m *modern) data(r dns.Record) dns.RData {
	switch r.Type {
	case dns.TypeDNSKEY:
		for _, k := range m.keys[r.Name.Fold()] {
			if string(k.old.RData()) == string(r.Data) {
				return k.now.RData()
			}
		}
	case dns.TypeDS:
		ds, err := dns.ParseDS(r.Data)
		if err != nil || ds.Algorithm != dsaNumber {
			break
		}
		ds.Algorithm = dnssec.ECDSAP256SHA256 // of which no key is, perhaps
		for _, k := range m.keys[r.Name.Fold()] {
			old := ds
			old.Algorithm = dsaNumber
			if !dnssec.MatchDS(r.Name, k.old, old) {
				continue
			}
			if now, err := dnssec.MakeDS(r.Name, k.now.DNSKEY(), ds.DigestType); err == nil {
				return now.RData()
			}
		}
		return ds.RData()
	}
	return r.Data
}

// signature makes the signature over what out has where that over what list has is right; else it makes a wrong one.
func (m *modern) signature(owner dns.Name, sig dns.RRSIG, list, out []dns.Record) dns.RRSIG {
	old := setIn(list, owner, sig)
	now := sig
	now.Algorithm = dnssec.ECDSAP256SHA256
	for _, k := range m.keys[sig.Signer.Fold()] {
		if k.old.KeyTag() != sig.KeyTag {
			continue
		}
		now.KeyTag = k.now.Tag()
		if !isDSA(k.old.PublicKey, dnssec.AppendSignedData(nil, &sig, old), sig.Signature) {
			continue
		}
		made, err := k.now.Sign(nil, dnssec.AppendSignedData(nil, &now, setIn(out, owner, sig)))
		if err != nil {
			m.t.Fatal(err)
		}
		now.Signature = made
		return now
	}
	now.Signature = make([]byte, 64)
	return now
}

func setIn(list []dns.Record, owner dns.Name, sig dns.RRSIG) dnssec.RRset {
	s := dnssec.RRset{Owner: owner, Type: sig.TypeCovered, Class: dns.ClassIN, TTL: sig.OriginalTTL}
	for _, r := range list {
		isThere := func(d dns.RData) bool { return string(d) == string(r.Data) }
		if r.Type == sig.TypeCovered && r.Name.Equal(owner) && !slices.ContainsFunc(s.RData, isThere) {
			s.RData = append(s.RData, r.Data)
		}
	}
	return s
}

// isDSA verifies a signature in the form of RFC 2536, or in that of the tools that the scripts were made with: ASN.1.
func isDSA(key, data, sig []byte) bool {
	if len(key) < 1+20 {
		return false
	}
	n := 64 + 8*int(key[0])
	if len(key) != 1+20+3*n {
		return false
	}
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	rest := key[21:]
	pub := dsa.PublicKey{Parameters: dsa.Parameters{Q: number(key[1:21]), P: number(rest[:n]), G: number(rest[n : 2*n])}, Y: number(rest[2*n:])}
	hash := sha1.Sum(data)
	var v struct{ R, S *big.Int }
	if len(sig) == 41 {
		v.R, v.S = number(sig[1:21]), number(sig[21:])
	} else if _, err := asn1.Unmarshal(sig, &v); err != nil {
		return false
	}
	return dsa.Verify(&pub, hash[:], v.R, v.S)
}
