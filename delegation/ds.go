package delegation

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// look is all that a decision is made from.
type look struct {
	was      Delegation
	policy   *Policy
	servers  []seen // all of them
	now      time.Time
	accepted acceptance
	approved bool // a person has said yes to a CSYNC that is not immediate
}

// acceptance is what was taken from a child last, for as long as something older
// could be played back.
type acceptance struct {
	Inception  uint32 // of the signature over CDS, CDNSKEY or CSYNC
	Expiration uint32
}

// isOlder says whether a signature is from before the one that was taken last: an
// old set played back, as BIND's dnssec-cds takes care of too.
func (a acceptance) isOlder(inception uint32) bool {
	return a != acceptance{} && int32(inception-a.Inception) < 0
}

// print tells what a child publishes from what it published before.
type print [sha256.Size]byte

// dsDecision is what follows for the DS set.
type dsDecision struct {
	verdict Verdict
	why     string
	retry   bool // it may be another one soon
	ds      []dns.DS
	taken   acceptance
	first   bool  // the child has no DS: bootstrapping has the last word
	print   print // of CDS and CDNSKEY
}

// decideDS says what follows from what the servers publish of CDS and CDNSKEY.
func decideDS(l *look) dsDecision {
	if s := silent(l.servers); s != nil {
		return dsDecision{verdict: Waits, retry: true, why: fmt.Sprintf("%s: %v", s, s.err)}
	}
	cds, err := agreed(l.servers, dns.TypeCDS)
	if err != nil {
		return dsDecision{verdict: Waits, retry: true, why: err.Error()}
	}
	cdnskey, err := agreed(l.servers, dns.TypeCDNSKEY)
	if err != nil {
		return dsDecision{verdict: Waits, retry: true, why: err.Error()}
	}
	if len(cds.set.RData)+len(cdnskey.set.RData) == 0 {
		return dsDecision{why: "the child publishes neither CDS nor CDNSKEY"}
	}
	w, err := wanted(l.was.Child, &cds, &cdnskey, l.policy.Digests)
	if err != nil {
		return dsDecision{verdict: Refused, why: err.Error()}
	}
	return decideWanted(l, w)
}

// wish is the DS set that a child asks for.
type wish struct {
	ds     []dns.DS
	remove bool // RFC 8078 §4: all of it
	print  print
}

// decideWanted says whether the child gets it.
func decideWanted(l *look, w wish) dsDecision {
	now := dsOf(l.was.DS)
	d := dsDecision{ds: w.ds, print: w.print, first: len(now) == 0}
	switch {
	case w.remove && d.first:
		d.why = "the child asks for no DS, and has none"
		return d
	case !w.remove && sameDS(now, w.ds):
		d.why = "the DS set is as the child wants it"
		return d
	case w.remove && !l.policy.Delete:
		d.verdict, d.why = Refused, "the child asks that its DS goes, which the policy does not allow"
		return d
	}
	for i := range l.servers {
		taken, err := checkServer(l, &l.servers[i], now, w)
		if err != nil {
			d.verdict, d.why = Refused, fmt.Sprintf("%s: %v", &l.servers[i], err)
			return d
		}
		if i == 0 || int32(taken.Inception-d.taken.Inception) < 0 {
			d.taken = taken
		}
	}
	d.verdict, d.why = Changed, describe(w)
	return d
}

// checkServer checks that what one server serves proves the wish, and validates
// under it.
func checkServer(l *look, s *seen, now []dns.DS, w wish) (acceptance, error) {
	v := newVerifier(l.was.Child, l.now)
	keys := s.apex[dns.TypeDNSKEY]
	by := now
	if len(now) == 0 {
		by = w.ds
	}
	// RFC 7344 §4.1: signed by a key that is in the DS set of now, or else (RFC 8078
	// §3) by one that is to be.
	entries, err := v.entries(&keys, by)
	if err != nil {
		return acceptance{}, err
	}
	taken, err := v.signedRequests(s, entries)
	switch {
	case err != nil:
		return taken, err
	case l.accepted.isOlder(taken.Inception):
		return taken, errors.New("the signature over CDS or CDNSKEY is older than the one that was taken last")
	case w.remove:
		return taken, nil
	}
	if err := v.holds(&keys, w.ds); err != nil {
		return taken, fmt.Errorf("under the DS set that the child asks for it would not validate: %w", err)
	}
	return taken, nil
}

// signedRequests verifies CDS and CDNSKEY, as far as they are there, and returns the
// older of their signatures.
func (v *verifier) signedRequests(s *seen, keys []dns.DNSKEY) (taken acceptance, err error) {
	for _, t := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY} {
		r := s.apex[t]
		if len(r.set.RData) == 0 {
			continue
		}
		sig, err := v.signed(&r, keys)
		if err != nil {
			return taken, err
		}
		if taken == (acceptance{}) || int32(sig.Inception-taken.Inception) < 0 {
			taken = acceptance{sig.Inception, sig.Expiration}
		}
	}
	return taken, nil
}

// wanted reads CDS and CDNSKEY. RFC 7344 §4: where both are there, they say the same.
func wanted(child dns.Name, cds, cdnskey *reply, digests []uint8) (wish, error) {
	w := wish{print: printOf(cds, cdnskey)}
	if remove, err := isDelete(cds, cdnskey); err != nil || remove {
		w.remove = remove
		return w, err
	}
	list, keys := dsOfSet(cds), keysOf(cdnskey)
	switch {
	case len(keys) != len(cdnskey.set.RData):
		return w, errors.New("CDNSKEY has a key that may sign nothing")
	case len(list) > maxDS || len(keys)*len(digests) > maxDS:
		return w, fmt.Errorf("CDS and CDNSKEY: %w", errTooMany)
	}
	if err := checkPair(child, list, keys); err != nil {
		return w, err
	}
	var err error
	w.ds, err = takenOf(child, list, keys, digests)
	return w, err
}

// isDelete reads the request of RFC 8078 §4, which stands alone in its set, and the
// other set, if there is one, says so too.
func isDelete(cds, cdnskey *reply) (bool, error) {
	a := slices.ContainsFunc(cds.set.RData, func(d dns.RData) bool { return d[2] == 0 })
	b := slices.ContainsFunc(cdnskey.set.RData, func(d dns.RData) bool { return d[3] == 0 })
	if !a && !b {
		return false, nil
	}
	n, m := len(cds.set.RData), len(cdnskey.set.RData)
	switch {
	case n > 1 || m > 1 || a != b && n+m > 1:
		return false, errors.New("a request to delete the DS set stands beside others")
	case a && !dnssec.IsCDSDelete(cds.set.RData[0]) || b && !dnssec.IsCDNSKEYDelete(cdnskey.set.RData[0]):
		return false, errors.New("algorithm 0 in what is not a request to delete: expected CDS \"0 0 0 00\", CDNSKEY \"0 3 0 AA==\"")
	}
	return true, nil
}

// checkPair: each CDS is of a CDNSKEY, and each CDNSKEY has a CDS. Of a digest that
// is unknown here the tag and the algorithm tell.
func checkPair(child dns.Name, list []dns.DS, keys []dns.DNSKEY) error {
	if len(list) == 0 || len(keys) == 0 {
		return nil
	}
	pairs := func(ds dns.DS, k dns.DNSKEY) bool {
		if !dnssec.CanDigest(ds.DigestType) {
			return ds.KeyTag == k.KeyTag() && ds.Algorithm == k.Algorithm
		}
		return dnssec.MatchDS(child, k, ds)
	}
	for _, ds := range list {
		if !slices.ContainsFunc(keys, func(k dns.DNSKEY) bool { return pairs(ds, k) }) {
			return fmt.Errorf("CDS and CDNSKEY say different things: no CDNSKEY is of the CDS with key tag %d", ds.KeyTag)
		}
	}
	for _, k := range keys {
		if !slices.ContainsFunc(list, func(ds dns.DS) bool { return pairs(ds, k) }) {
			return fmt.Errorf("CDS and CDNSKEY say different things: no CDS is of the CDNSKEY with key tag %d", k.KeyTag())
		}
	}
	return nil
}

// takenOf returns the DS records that are taken from CDS; or made from CDNSKEY, where
// CDS has not a digest that is taken of every key.
func takenOf(child dns.Name, list []dns.DS, keys []dns.DNSKEY, digests []uint8) ([]dns.DS, error) {
	var out []dns.DS
	for _, ds := range list {
		if slices.Contains(digests, ds.DigestType) {
			out = append(out, ds)
		}
	}
	missing := func(ds dns.DS) bool {
		return !slices.ContainsFunc(out, func(o dns.DS) bool { return o.KeyTag == ds.KeyTag && o.Algorithm == ds.Algorithm })
	}
	if len(out) == 0 || slices.ContainsFunc(list, missing) {
		if len(keys) == 0 {
			return nil, fmt.Errorf("a key of CDS has no digest of a type that is taken: expected one of %v", digests)
		}
		out = out[:0]
		for _, k := range keys {
			ds, err := dnssec.MakeDS(child, k, digests[0])
			if err != nil {
				return nil, err
			}
			out = append(out, ds)
		}
	}
	slices.SortFunc(out, compareDS)
	return slices.CompactFunc(out, func(a, b dns.DS) bool { return compareDS(a, b) == 0 }), nil
}

func compareDS(a, b dns.DS) int { return bytes.Compare(a.RData(), b.RData()) }

func sameDS(a, b []dns.DS) bool {
	return slices.EqualFunc(a, b, func(x, y dns.DS) bool { return compareDS(x, y) == 0 })
}

// dsOf reads DS records, and sorts them.
func dsOf(records []dns.Record) []dns.DS {
	var out []dns.DS
	for _, r := range records {
		if ds, err := dns.ParseDS(r.Data); err == nil {
			out = append(out, ds)
		}
	}
	slices.SortFunc(out, compareDS)
	return out
}

func dsOfSet(r *reply) []dns.DS { return dsOf(r.records()) }

func printOf(sets ...*reply) (p print) {
	h := sha256.New()
	for _, r := range sets {
		for _, data := range r.set.RData {
			fmt.Fprintf(h, "%d %d ", r.set.Type, len(data))
			h.Write(data)
		}
	}
	h.Sum(p[:0])
	return p
}

// describe says in the history what the child has wanted.
func describe(w wish) string {
	if w.remove {
		return "the child asks by CDS or CDNSKEY that its DS goes"
	}
	text := "DS as the child's CDS and CDNSKEY have it: key"
	for i, ds := range w.ds {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d (%s, digest %d)", ds.KeyTag, dnssec.AlgorithmName(ds.Algorithm), ds.DigestType)
	}
	return text
}
