package zone

import (
	"iter"

	"onoma/dns"
)

// Version is one immutable state of a zone.
type Version struct{ origin dns.Name }

// Origin returns the zone's name, in the case of its SOA record.
func (v *Version) Origin() dns.Name { return v.origin }

// Class returns the zone's class.
func (v *Version) Class() dns.Class { return dns.ClassIN }

// Serial returns the serial number of the SOA record.
func (v *Version) Serial() uint32 { return 0 }

// SOA returns the apex's SOA RRset.
func (v *Version) SOA() RRset { return RRset{} }

// Apex returns the node of the origin.
func (v *Version) Apex() Node { return Node{} }

// Denial says how a version proves that something does not exist.
type Denial uint8

// The kinds of denial of existence.
const (
	DenialNone  Denial = iota // unsigned
	DenialNSEC                // RFC 4034: NSEC at the apex
	DenialNSEC3               // RFC 5155: NSEC3PARAM at the apex and its chain
)

// Denial returns the kind of proof that the version holds.
func (v *Version) Denial() Denial { return 0 }

// Stats counts what a version holds.
type Stats struct {
	Names   int // nodes, empty non-terminals included, NSEC3 owners not
	Records int // all records, RRSIG and NSEC3 included
	Bytes   int // memory that is held for it
}

// Stats returns the counts.
func (v *Version) Stats() Stats { return Stats{} }

// Match is what Lookup found for a name. Its caller owns it and uses it again
// for the next name; the Nodes in it stay good for as long as the version.
type Match struct {
	Node     Node // the name itself, an empty non-terminal too; zero below a cut or a DNAME
	Encloser Node // closest encloser: the deepest existing name at or above (RFC 4592 §3.3.1); at a cut or DNAME, that node
	Cut      Node // topmost delegation strictly below the apex, at or above the name
	DName    Node // topmost DNAME owner strictly above the name and not below a cut
	Wildcard Node // *.<Encloser>, where there is no Node, Cut or DName

	// Where the names of these lie within the name that was looked up, as
	// octets from its start: what to compress against, what to hash.
	EncloserAt   int // Encloser's name (also that of Cut and DName, when they are set)
	NextCloserAt int // the name one label longer than Encloser's (RFC 5155 §1.3); EncloserAt where Node is exact
}

// Lookup fills m for qname, an uncompressed wire name in any case at or below
// the origin. It does not allocate.
func (v *Version) Lookup(m *Match, qname []byte) {}

// Find returns the node of exactly name, wherever it lies: below a cut too.
// A name outside the zone gives the zero Node.
func (v *Version) Find(name []byte) Node { return Node{} }

// NSECCover returns the node whose NSEC record matches or covers name: the
// last one with an NSEC record at or before it in canonical order (RFC 4034 §4).
func (v *Version) NSECCover(name []byte) Node { return Node{} }

// NSEC3Params are the parameters of the NSEC3 chain in use (RFC 5155 §4.2).
type NSEC3Params struct {
	Algorithm  uint8
	Iterations uint16
	Salt       []byte // part of the version: not to be changed
}

// NSEC3Params returns the parameters of the chain that proofs come from.
func (v *Version) NSEC3Params() (p NSEC3Params, ok bool) { return }

// NSEC3Cover returns the node of the NSEC3 record that matches hash, with exact
// true, or else of the one that covers it.
func (v *Version) NSEC3Cover(hash []byte) (n Node, exact bool) { return }

// NSEC3Name is NSEC3Cover for the hash of name.
func (v *Version) NSEC3Name(name []byte) (n Node, exact bool) { return }

// NSEC3For is NSEC3Name for an existing node, and mostly without hashing.
func (v *Version) NSEC3For(node Node) (n Node, exact bool) { return }

// Nodes yields all nodes in canonical order of their names, the apex first.
// Owners of NSEC3 records come as nodes of their own.
func (v *Version) Nodes() iter.Seq[Node] { return nil }

// Subtree yields name's node and all below it in canonical order, NSEC3 owners left out.
func (v *Version) Subtree(name []byte) iter.Seq[Node] { return nil }

// Records yields all records, the SOA first, then in canonical order of their
// names and ascending types, an RRset's signatures right behind it.
func (v *Version) Records() iter.Seq[dns.Record] { return nil }

// Node is a name of a version with its RRsets: a small value, copied freely.
type Node struct{ v *Version }

// IsZero reports whether n is no node.
func (n Node) IsZero() bool { return n.v == nil }

// AppendName appends the owner name to dst, in wire form and in its own case.
func (n Node) AppendName(dst []byte) []byte { return dst }

// Name returns the owner name; it allocates.
func (n Node) Name() dns.Name { return dns.Name{} }

// IsApex reports whether the node's name is the origin.
func (n Node) IsApex() bool { return false }

// IsCut reports whether the node is a delegation: NS below the apex.
func (n Node) IsCut() bool { return false }

// IsENT reports whether the node is an empty non-terminal (RFC 4592 §2.2.2): a
// name without records that exists because others lie below it.
func (n Node) IsENT() bool { return false }

// Has reports whether the node has an RRset of type t.
func (n Node) Has(t dns.Type) bool { return false }

// RRset returns the RRset of type t. RRSIG gives all signatures of the node.
func (n Node) RRset(t dns.Type) (RRset, bool) { return RRset{}, false }

// RRsets yields the RRsets, the SOA first and then by ascending type. RRSIGs
// come with what they cover ([RRset.Sigs]).
func (n Node) RRsets() iter.Seq[RRset] { return nil }

// RRset is the records of one name and type: a small value, copied freely.
type RRset struct{ v *Version }

// IsZero reports whether s is no RRset.
func (s RRset) IsZero() bool { return s.v == nil }

// Type returns the type of the records.
func (s RRset) Type() dns.Type { return 0 }

// TTL returns the time to live in seconds.
func (s RRset) TTL() uint32 { return 0 }

// Count returns the number of records.
func (s RRset) Count() int { return 0 }

// RData yields the rdata of each record. It aliases the version's memory.
func (s RRset) RData() iter.Seq[[]byte] { return nil }

// Packed returns all rdata as it stands in the version: for each record its
// length in two octets and its octets, as they follow the TTL in a message.
func (s RRset) Packed() []byte { return nil }

// ID identifies the RRset's content among the shared sets of the version: equal
// for all delegations with the same NS set, 0 for a set that is not shared.
func (s RRset) ID() uint32 { return 0 }

// Sigs returns the RRSIG records that cover s, an RRset of type RRSIG.
func (s RRset) Sigs() (RRset, bool) { return RRset{}, false }

// Glue is a name server of a delegation that has addresses in the zone.
type Glue struct {
	Index    int  // of the rdata in the NS set
	Host     Node // where the A and AAAA RRsets are
	InDomain bool // the host lies at or below the delegation (RFC 9471 §2.1), else it is a sibling's
}

// Glue yields those name servers of an NS set that have addresses in the zone.
func (s RRset) Glue() iter.Seq[Glue] { return nil }

// Builder makes a version from records in any order; grouped by owner and in
// canonical order is quickest.
type Builder struct{ origin dns.Name }

// NewBuilder returns a Builder for the zone origin of class IN.
func NewBuilder(origin dns.Name) *Builder { return &Builder{origin} }

// Add takes one record and copies what it needs of it. A record that cannot be
// in the zone is left out and becomes a finding; the error is for a zone that
// has grown beyond what a version can hold.
func (b *Builder) Add(r dns.Record) error { return nil }

// Build returns the version and all findings, errors first. The version is nil
// where it could not be served: without exactly one SOA. The Builder is spent.
func (b *Builder) Build() (*Version, []Finding) { return nil, nil }

// Severity of a finding.
type Severity uint8

// The severities.
const (
	Warning Severity = iota + 1 // odd, but served
	Error                       // the zone must not be served like this
)

// Finding is something wrong with a zone.
type Finding struct {
	Severity Severity
	Code     string // stable and short: "cname-and-other-data"
	Name     dns.Name
	Type     dns.Type // TypeNone where it concerns the name
	Text     string   // what is wrong
	Cure     string   // what to do about it
}

// Editor makes the next version of a zone.
type Editor struct{ v *Version }

// Edit returns an Editor that starts from v. v itself stays as it is.
func (v *Version) Edit() *Editor { return &Editor{v} }

// Add adds a record and reports whether that changed anything. An RRset takes
// the TTL of the record that was added last (RFC 2181 §5.2).
func (e *Editor) Add(r dns.Record) (bool, error) { return false, nil }

// Remove removes the record with r's name, type and rdata, the TTL ignored, and
// reports whether it was there.
func (e *Editor) Remove(r dns.Record) bool { return false }

// RemoveRRset removes all records of a type, and reports whether there were any.
func (e *Editor) RemoveRRset(name dns.Name, t dns.Type) bool { return false }

// RemoveName removes all records of a name, and reports whether there were any.
func (e *Editor) RemoveName(name dns.Name) bool { return false }

// Find returns the node of name as edited so far; good until the next change.
func (e *Editor) Find(name dns.Name) Node { return Node{} }

// Commit returns the new version. The Editor is spent.
func (e *Editor) Commit() (*Version, error) { return nil, nil }

// Delta is the difference of two versions, each list in Records' order.
type Delta struct{ Removed, Added []dns.Record }

// Diff returns what turns from into to, at the cost of the difference where one
// was edited from the other.
func Diff(from, to *Version) Delta { return Delta{} }

// Source gives records one after the other, io.EOF after the last;
// *zonefile.Reader is one.
type Source interface{ Next() (dns.Record, error) }

// LoadFile reads the master file at path for the zone origin.
func LoadFile(path string, origin dns.Name) (*Version, []Finding, error) { return nil, nil, nil }
