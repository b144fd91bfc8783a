package keys

import (
	"time"

	"onoma/dns"
)

// Role is what a key is for; a CSK has both.
type Role uint8

// The roles of keys.
const (
	KSK Role = 1 << iota
	ZSK
	CSK = KSK | ZSK
)

// State is how far a record is known to the world's caches.
type State uint8

// The states: nobody has it; it is published, and some may not have it yet; all have it; it is withdrawn, and some may have it still.
const (
	Hidden State = iota
	Rumoured
	Omnipresent
	Unretentive
)

// Record is one of the four records that a key has.
type Record uint8

// The records of a key: its DNSKEY, its signatures over the zone, its signature over the DNSKEY set, its DS at the parent.
const (
	DNSKEY Record = iota
	ZRRSIG
	KRRSIG
	DS
	records
)

// RecordState is a record's state and since when it is in it.
type RecordState struct {
	State State     `json:"state"`
	Since time.Time `json:"since,omitzero"`
}

// Key is one key of a ring.
type Key struct {
	ID        string `json:"id"` // of the key store; other providers' keys have ids of their own
	Algorithm uint8  `json:"algorithm"`
	Tag       uint16 `json:"tag"`
	Bits      int    `json:"bits,omitempty"`
	RData     []byte `json:"dnskey"` // rdata of the DNSKEY
	Role      Role   `json:"role"`
	Goal      State  `json:"goal"`              // Omnipresent: it is to be in use; Hidden: it is to go
	Standby   bool   `json:"standby,omitempty"` // published in advance; with a DS it signs the DNSKEY set, and nothing else
	Lost      bool   `json:"lost,omitempty"`    // its private half is gone: it makes no signature any more
	Urgent    bool   `json:"urgent,omitempty"`  // it goes without safety margins: somebody else may have it
	Foreign   string `json:"foreign,omitempty"` // the provider whose key it is (RFC 8901)

	Created time.Time            `json:"created,omitzero"`
	Active  time.Time            `json:"active,omitzero"`  // since when it signs
	Retired time.Time            `json:"retired,omitzero"` // since when its goal is Hidden
	Removed time.Time            `json:"removed,omitzero"` // since when all its records are hidden again
	Records [records]RecordState `json:"records"`
	Parent  AtParent             `json:"parent,omitzero"`
	// Elsewhere is since when all other providers' servers have this key in their DNSKEY sets (RFC 8901 §6.2).
	Elsewhere time.Time `json:"elsewhere,omitzero"`
	// At is the same for each provider whose servers are asked.
	At map[string]AtProvider `json:"at,omitempty"`
	// TTL is the longest of the DNSKEY sets of the provider whose key it is.
	TTL time.Duration `json:"ttl,omitempty"`
	// NoDS: the provider whose key it is has it sign, but its DS is not to be at the parent.
	NoDS bool `json:"no-ds,omitempty"`
	// Until is when nothing of a provider that was told to go is cached any more.
	Until time.Time `json:"until,omitzero"`

	planned int // the so-many-th key of a prediction, which does not exist
}

// AtParent is what is known of a key's DS.
type AtParent struct {
	Wanted   bool          `json:"wanted,omitempty"`  // it should be there
	Changed  time.Time     `json:"changed,omitzero"`  // since when it should, or should not
	Everyone time.Time     `json:"everyone,omitzero"` // since when all servers of the parent are known to have it
	Nobody   time.Time     `json:"nobody,omitzero"`   // since when all are known not to have it
	IsDenied bool          `json:"denied,omitempty"`  // people say that none has it
	TTL      time.Duration `json:"ttl,omitempty"`     // the longest with which it was seen
	Servers  int           `json:"servers,omitempty"` // that had it when asked last
}

// Ring is the keys of one zone and what caches may have of them. Its methods are not for several goroutines at once.
type Ring struct {
	zone     dns.Name
	unsigned bool // the zone is to go unsigned, whatever the policy says
	keys     []*Key
	versions []*version // ascending by generation; the last is the wanted one
	last     time.Time  // time of the last Step
	parent   Parent     // as seen last

	// made anew by each Step
	next  time.Time
	waits []Wait
}

// New returns the ring of a zone that has no keys yet.
func New(zone dns.Name) *Ring { return &Ring{zone: zone, versions: []*version{{}}} }

// Zone returns the zone whose keys these are.
func (r *Ring) Zone() dns.Name { return r.zone }

// Last returns the time of the last Step.
func (r *Ring) Last() time.Time { return r.last }

// Keys returns copies of all keys, in the order in which they came.
func (r *Ring) Keys() []Key {
	out := make([]Key, len(r.keys))
	for i, k := range r.keys {
		out[i] = *k
	}
	return out
}

// Key returns a copy of the key with this id.
func (r *Ring) Key(id string) (Key, bool) {
	if k := r.key(id); k != nil {
		return *k, true
	}
	return Key{}, false
}

func (r *Ring) key(id string) *Key {
	for _, k := range r.keys {
		if k.ID == id {
			return k
		}
	}
	return nil
}

// DNSKEY returns the key's DNSKEY.
func (k *Key) DNSKEY() dns.DNSKEY {
	d, _ := dns.ParseDNSKEY(dns.RData(k.RData)) // it was parsed before it came into the ring
	return d
}

func (k *Key) own() bool    { return k.Foreign == "" }
func (k *Key) usable() bool { return k.own() && !k.Lost }
func (k *Key) stays() bool  { return k.Goal == Omnipresent }
