package delegation

import (
	"errors"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// leastLife is what a signature over a child's keys must still have to live: less says
// that its signer has stopped, and a DS set of today would be bogus tomorrow.
const leastLife = time.Hour

// maxChecks is how many signatures of one server are verified in one look. A child
// with two keys of each of three algorithms needs a third of it; one that makes keys
// with equal tags to have us work gets nothing.
const maxChecks = 48

var errChecks = errors.New("verifying takes more signature checks than are made for one server")

// verifier verifies what one server has said of a child.
type verifier struct {
	child dns.Name
	now   time.Time
	left  int
}

func newVerifier(child dns.Name, now time.Time) *verifier {
	return &verifier{child: child, now: now, left: maxChecks}
}

// signed returns the newest signature over a set that one of the keys has made.
func (v *verifier) signed(r *reply, keys []dns.DNSKEY) (dns.RRSIG, error) {
	var best dns.RRSIG
	err := fmt.Errorf("%s is not signed by a key that counts", r.set.Type)
	found := false
	for i := range r.sigs {
		for _, k := range keys {
			if k.Algorithm != r.sigs[i].Algorithm || k.KeyTag() != r.sigs[i].KeyTag {
				continue
			}
			if e := v.verify(r, &r.sigs[i], k); e != nil {
				err = fmt.Errorf("%s: signature by key %d: %w", r.set.Type, k.KeyTag(), e)
			} else if !found || int32(r.sigs[i].Inception-best.Inception) > 0 {
				best, found = r.sigs[i], true
			}
		}
	}
	if found {
		return best, nil
	}
	return best, err
}

// verify checks one signature by one key.
func (v *verifier) verify(r *reply, sig *dns.RRSIG, k dns.DNSKEY) error {
	// RFC 4035 §5.3.1: the signer is the zone that has the set.
	if !sig.Signer.Equal(v.child) {
		return dnssec.ErrSigner
	}
	if int(sig.Labels) != r.set.Owner.NumLabels() {
		return errWildcard
	}
	if err := dnssec.CheckRRSIG(r.set.Owner, r.set.Type, sig, v.now); err != nil {
		return err // costs nothing, so that it is not counted
	}
	if v.left == 0 {
		return errChecks
	}
	v.left--
	return dnssec.VerifyRRset(r.set, sig, k, v.now)
}

// keysOf returns the keys of a DNSKEY set that may sign (RFC 4034 §2.1.1, RFC 5011 §2.1).
func keysOf(r *reply) []dns.DNSKEY {
	var keys []dns.DNSKEY
	for _, data := range r.set.RData {
		if k, err := dns.ParseDNSKEY(data); err == nil && k.Protocol == 3 && k.IsZoneKey() && !k.IsRevoked() {
			keys = append(keys, k)
		}
	}
	return keys
}

// entries returns the keys that one of the DS records is of and that sign the DNSKEY
// set: those by which a validator gets into the zone (RFC 4035 §5.2).
func (v *verifier) entries(r *reply, list []dns.DS) ([]dns.DNSKEY, error) {
	var entries []dns.DNSKEY
	err := errors.New("no key of the DNSKEY set has a DS")
	for _, k := range keysOf(r) {
		if !isOf(v.child, k, list) {
			continue
		}
		sig, e := v.signed(r, []dns.DNSKEY{k})
		switch left := time.Duration(int32(sig.Expiration-uint32(v.now.Unix()))) * time.Second; {
		case e != nil:
			err = e
		case left < leastLife:
			err = fmt.Errorf("DNSKEY: the signature by key %d expires in %v", k.KeyTag(), left)
		default:
			entries = append(entries, k)
		}
	}
	if len(entries) == 0 {
		return nil, err
	}
	return entries, nil
}

// isOf says whether one of the DS records is the key's. A digest of SHA-1 counts
// here: the parent may have one from long ago.
func isOf(child dns.Name, k dns.DNSKEY, list []dns.DS) bool {
	for _, ds := range list {
		if dnssec.MatchDS(child, k, ds) {
			return true
		}
	}
	return false
}

// holds says whether the DNSKEY set validates under a DS set for every validator:
// by each algorithm of the DS set, since a validator may know only one (RFC 6840
// §5.11), and by each type of digest for itself, since it may go by the strongest
// only (RFC 4509 §3).
func (v *verifier) holds(r *reply, list []dns.DS) error {
	for digest, some := range byDigest(list) {
		entries, err := v.entries(r, some)
		if err != nil {
			return err
		}
		for _, ds := range list {
			if !hasAlgorithm(entries, ds.Algorithm) {
				return fmt.Errorf("no key of algorithm %s signs the DNSKEY set and has a DS with digest type %d", dnssec.AlgorithmName(ds.Algorithm), digest)
			}
		}
	}
	return nil
}

func byDigest(list []dns.DS) map[uint8][]dns.DS {
	out := make(map[uint8][]dns.DS)
	for _, ds := range list {
		out[ds.DigestType] = append(out[ds.DigestType], ds)
	}
	return out
}

func hasAlgorithm(keys []dns.DNSKEY, algorithm uint8) bool {
	for _, k := range keys {
		if k.Algorithm == algorithm {
			return true
		}
	}
	return false
}
