package interop

import (
	"encoding/base32"
	"maps"
	"slices"
	"strings"

	mdns "github.com/miekg/dns"

	"onoma/test/model"
)

// denial is how a random zone is signed.
type denial int

const (
	unsigned denial = iota
	withNSEC
	withNSEC3
	withOptOut
)

// chain is what a signer knows of a zone.
type chain struct {
	origin string
	sets   map[string]map[uint16]bool // types of the names that are not occluded
	cuts   map[string]bool
}

// sign adds a chain of NSEC or NSEC3 records and signatures that nobody can verify: a server does not look at them.
func sign(records []mdns.RR, origin string, kind denial) []mdns.RR {
	if kind == unsigned {
		return records
	}
	c := newChain(records, origin)
	signed := slices.Clone(records)
	if kind == withNSEC {
		signed = append(signed, c.nsec()...)
	} else {
		param := &mdns.NSEC3PARAM{Hdr: c.header(origin, mdns.TypeNSEC3PARAM, 0), Hash: 1}
		signed = append(signed, param)
		c.sets[origin][mdns.TypeNSEC3PARAM] = true
		signed = append(signed, c.nsec3(kind == withOptOut)...)
	}
	covered := make(map[string]bool)
	for _, rr := range slices.Clone(signed) {
		h := rr.Header()
		_, visible := c.sets[h.Name]
		key := h.Name + mdns.TypeToString[h.Rrtype]
		delegation := c.cuts[h.Name] && h.Rrtype != mdns.TypeDS && h.Rrtype != mdns.TypeNSEC
		if covered[key] || delegation || !visible && h.Rrtype != mdns.TypeNSEC3 {
			continue
		}
		covered[key] = true
		signed = append(signed, c.signature(h))
	}
	return signed
}

// newChain finds the names that are in the chain: not those below a cut or a DNAME.
func newChain(records []mdns.RR, origin string) *chain {
	c := &chain{origin: origin, sets: make(map[string]map[uint16]bool), cuts: make(map[string]bool)}
	hiding := make(map[string]bool)
	for _, rr := range records {
		h := rr.Header()
		if h.Rrtype == mdns.TypeNS && h.Name != origin {
			c.cuts[h.Name], hiding[h.Name] = true, true
		}
		hiding[h.Name] = hiding[h.Name] || h.Rrtype == mdns.TypeDNAME
	}
	for _, rr := range records {
		h := rr.Header()
		occluded := false
		for name := h.Name; name != origin; name = parentOf(name) {
			occluded = occluded || name != h.Name && hiding[name]
		}
		occluded = occluded || h.Name != origin && hiding[origin]
		atCut := c.cuts[h.Name] && h.Rrtype != mdns.TypeNS && h.Rrtype != mdns.TypeDS
		if occluded || atCut {
			continue
		}
		if c.sets[h.Name] == nil {
			c.sets[h.Name] = make(map[uint16]bool)
		}
		c.sets[h.Name][h.Rrtype] = true
	}
	return c
}

func (c *chain) header(name string, typ uint16, ttl uint32) mdns.RR_Header {
	return mdns.RR_Header{Name: name, Rrtype: typ, Class: mdns.ClassINET, Ttl: ttl}
}

func (c *chain) nsec() []mdns.RR {
	names := slices.SortedFunc(maps.Keys(c.sets), model.Compare)
	list := make([]mdns.RR, 0, len(names))
	for i, name := range names {
		c.sets[name][mdns.TypeNSEC], c.sets[name][mdns.TypeRRSIG] = true, true
		list = append(list, &mdns.NSEC{
			Hdr:        c.header(name, mdns.TypeNSEC, 300),
			NextDomain: names[(i+1)%len(names)],
			TypeBitMap: slices.Sorted(maps.Keys(c.sets[name])),
		})
	}
	return list
}

// nsec3 has records for empty non-terminals too, but with opt-out not for what only insecure delegations need.
func (c *chain) nsec3(optOut bool) []mdns.RR {
	types := make(map[string][]uint16) // by hash
	for name, set := range c.sets {
		insecure := c.cuts[name] && !set[mdns.TypeDS]
		if insecure && optOut {
			continue
		}
		if !insecure {
			set[mdns.TypeRRSIG] = true
		}
		types[hashOf(name)] = slices.Sorted(maps.Keys(set))
		for above := name; above != c.origin; {
			above = parentOf(above)
			if _, exists := c.sets[above]; !exists {
				types[hashOf(above)] = nil
			}
		}
	}
	var flags uint8
	if optOut {
		flags = 1
	}
	hashes := slices.Sorted(maps.Keys(types))
	list := make([]mdns.RR, 0, len(hashes))
	for i, hash := range hashes {
		list = append(list, &mdns.NSEC3{
			Hdr:  c.header(strings.ToLower(hash)+"."+c.origin, mdns.TypeNSEC3, 300),
			Hash: 1, Flags: flags, HashLength: 20,
			NextDomain: hashes[(i+1)%len(hashes)],
			TypeBitMap: types[hash],
		})
	}
	return list
}

func hashOf(name string) string {
	hash := mdns.HashName(name, mdns.SHA1, 0, "")
	if _, err := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(hash); err != nil {
		panic("the oracle hashed " + name + " to " + hash)
	}
	return hash
}

func (c *chain) signature(h *mdns.RR_Header) mdns.RR {
	return &mdns.RRSIG{
		Hdr: c.header(h.Name, mdns.TypeRRSIG, h.Ttl), TypeCovered: h.Rrtype, Algorithm: 13,
		Labels: uint8(mdns.CountLabel(strings.TrimPrefix(h.Name, "*."))), OrigTtl: h.Ttl,
		Expiration: 3786912000, Inception: 1767225600, KeyTag: 1, SignerName: c.origin, Signature: "AAAA",
	}
}
