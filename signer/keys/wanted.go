package keys

import (
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Wanted returns what should stand at the apex and what signs it, as of the last Step.
func (r *Ring) Wanted(now time.Time, p *Policy) Wanted {
	v := r.current()
	w := Wanted{Generation: v.Generation, TTL: p.DNSKEYTTL, Urgent: r.isUrgent(), Denial: r.denial(v, p)}
	for _, k := range r.keys {
		if slices.Contains(v.Keys, k.ID) {
			w.DNSKEYs = append(w.DNSKEYs, k.DNSKEY())
		}
		keys, zone := slices.Contains(v.KeySigners, k.ID), slices.Contains(v.Signers, k.ID)
		if (keys || zone) && k.usable() {
			w.Signers = append(w.Signers, Signer{ID: k.ID, SignsKeys: keys, SignsZone: zone})
		}
		if slices.Contains(v.DS, k.ID) {
			w.DS = append(w.DS, r.dsOf(k, p)...)
			w.CDNSKEY = append(w.CDNSKEY, k.DNSKEY())
		}
	}
	w.CDS = w.DS
	switch {
	case p.NoCDS || len(v.Keys) == 0:
		w.CDS, w.CDNSKEY = nil, nil
	case len(v.DS) == 0 && r.wantsNoDS(p):
		w.CDS, w.CDNSKEY = deletion()
	}
	r.freeze(&w, v)
	return w
}

// deletion is the CDS and CDNSKEY that ask for a delegation without DS (RFC 8078 §4, with the erratum's digest of one octet).
func deletion() ([]dns.DS, []dns.DNSKEY) {
	return []dns.DS{{Digest: []byte{0}}}, []dns.DNSKEY{{Protocol: 3, PublicKey: []byte{0}}}
}

// wantsNoDS says whether the parent still has a DS that is to go with no other in its place.
func (r *Ring) wantsNoDS(p *Policy) bool {
	return (r.unsigned || p.Unsigned || r.isStuck()) && slices.ContainsFunc(r.keys, func(k *Key) bool { return k.Records[DS].State != Hidden })
}

func (r *Ring) dsOf(k *Key, p *Policy) (out []dns.DS) {
	digests := p.CDSDigests
	if len(digests) == 0 {
		digests = []uint8{dnssec.DigestSHA256}
	}
	for _, d := range digests {
		if ds, err := dnssec.MakeDS(r.zone, k.DNSKEY(), d); err == nil {
			out = append(out, ds)
		}
	}
	return out
}

// denial returns the zone's denial of existence. RSASHA1 (5) does not know NSEC3 (RFC 5155 §2): such a zone keeps NSEC until that key is gone.
func (r *Ring) denial(v *version, p *Policy) Denial {
	switch {
	case len(v.Signers) == 0:
		return Denial{}
	case p.Denial.Kind == NoDenial || slices.ContainsFunc(r.keys, func(k *Key) bool {
		return k.Algorithm == dnssec.RSASHA1 && k.Records[DNSKEY].State != Hidden
	}):
		return Denial{Kind: NSEC}
	}
	return p.Denial
}

// freeze says what cannot be signed because keys are lost.
func (r *Ring) freeze(w *Wanted, v *version) {
	if !r.haveUsable(v.KeySigners) {
		w.KeysFrozen = "the private half of the key that signs the DNSKEY set is lost: the set stays as it is until a new key takes over"
		// A CDS that nobody can sign anew would have the parent undo what people do there. To take it away needs no key of that kind.
		w.CDS, w.CDNSKEY = nil, nil
	}
	if !r.haveUsable(v.Signers) {
		w.ZoneFrozen = "the private half of the key that signs the zone is lost: the zone stays as it is until a new key takes over"
	}
}
