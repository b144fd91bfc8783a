package keys

import (
	"time"

	"onoma/dns"
)

// Facts is what is known of the zone as it is served, and of its parent. The machine believes no plan, only facts.
type Facts struct {
	// Generation is that of the Wanted by which the served zone is made; the times below are about that one. While
	// Wanted.ZoneFrozen there is nothing to be made: it is Wanted's then.
	Generation uint64
	// InSync is since when all servers of the zone have the apex sets (DNSKEY, CDS, CDNSKEY) of Generation, zero: not yet.
	InSync time.Time
	// Signed is since when all servers have a zone whose every set is signed by the wanted signers and by no other, zero: not yet.
	Signed time.Time
	// Fresh: the zone had no version before it was first signed, so nobody can have anything unsigned of it.
	Fresh bool

	DNSKEYTTL   time.Duration // of the DNSKEY set as served
	MaxTTL      time.Duration // the longest of the zone as served
	NegativeTTL time.Duration // of negative answers (RFC 2308 §5)

	Parent Parent

	// Only for predictions (Timeline): how long versions take to all servers, and how long signing everything takes.
	Propagation, Signing time.Duration
}

// Parent is what the parent's servers said about DS when they were asked last.
type Parent struct {
	Watched         bool      // they are asked again and again, and will answer if they can
	At              time.Time // zero: they were not asked, or none answered
	Asked, Answered int       // servers
	DS              []SeenDS
	TTL             time.Duration // of the DS set
	NegativeTTL     time.Duration // of 'there is no DS'
	Delay           time.Duration // as measured from CDS to DS; only for predictions
}

// SeenDS is a DS record and how many of the parent's servers have it.
type SeenDS struct {
	DS      dns.DS
	Servers int
}

// Wanted is what should stand at the apex, and which keys sign what.
type Wanted struct {
	// Generation goes up with every difference in the keys, signers and the DS that the parent is asked for; it comes back in
	// Facts. Nothing waits for other differences (forms of CDS, Denial, TTL).
	Generation uint64
	DNSKEYs    []dns.DNSKEY
	Signers    []Signer
	CDS        []dns.DS     // the deletion of RFC 8078 §4 included
	CDNSKEY    []dns.DNSKEY // likewise
	DS         []dns.DS     // what the parent should have: for people, and to push it
	Denial     Denial       // NoDenial: the zone is not signed
	TTL        time.Duration
	// Urgent: signatures of keys that are no signers any more are replaced now, not when they are due.
	Urgent bool
	// KeysFrozen: the DNSKEY set and its signatures stay as they were served; nobody can sign it now. CDS and CDNSKEY go.
	// ZoneFrozen: nothing of the zone can be signed: no change can be published. Both are texts for people, empty if all is well.
	KeysFrozen, ZoneFrozen string
}

// Signer is a key that signs: SignsKeys the apex sets DNSKEY, CDS and CDNSKEY, SignsZone everything else.
type Signer struct {
	ID                   string
	SignsKeys, SignsZone bool
}

// What is the kind of an Event.
type What string

// The kinds of events. NeedKey asks for Ring.AddKey, Purge for Ring.Forget; the others are for people.
const (
	NeedKey What = "need-key" // a key of Role, Algorithm and Bits is to be made
	Came    What = "state"    // Record of Key went From one state To another
	Phase   What = "phase"    // Key's name of RFC 7583 changed
	Goal    What = "goal"     // Key is to come or to go
	Purge   What = "purge"    // Key is removed for so long that its private half may be deleted
	Alarm   What = "alarm"    // somebody should look
	Others  What = "others"   // in a Timeline only: others are expected to have done their part
)

// Event is something that happened in a Step, or will.
type Event struct {
	At        time.Time `json:"at"`
	What      What      `json:"what"`
	Key       string    `json:"key,omitempty"`
	Tag       uint16    `json:"tag,omitempty"`
	Record    Record    `json:"record,omitempty"`
	From      string    `json:"from,omitempty"`
	To        string    `json:"to,omitempty"`
	Role      Role      `json:"role,omitempty"`
	Algorithm uint8     `json:"algorithm,omitempty"`
	Bits      int       `json:"bits,omitempty"`
	Standby   bool      `json:"standby,omitempty"`
	Text      string    `json:"text"`
	Why       []string  `json:"why,omitempty"` // in a Timeline: what was waited for until then, at the first event of that time
}

// Wait is why something that is to happen has not happened yet.
type Wait struct {
	Key   string    `json:"key,omitempty"`
	Until time.Time `json:"until,omitzero"` // zero: it depends on others
	Text  string    `json:"text"`
	Alarm bool      `json:"alarm,omitempty"`
}
