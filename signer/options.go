package signer

import (
	"context"
	"io"
	"log/slog"
	"reflect"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/zone"
)

// Options of a Keeper. Submit, Zone, Load, Save and Store are required.
type Options struct {
	// Submit hands a change to the pipeline, and waits for it.
	Submit func(context.Context, ...zone.Change) ([]zone.Receipt, error)
	// Zone returns a zone that is served, nil where there is none.
	Zone func(zone.ID) *zone.Zone
	// Load returns what Save has kept of a zone, nil where there is nothing. Save has it on the disk when it returns.
	Load func(context.Context, zone.ID) ([]byte, error)
	Save func(context.Context, zone.ID, []byte) error
	// Swap is Save where other servers sign the zones, too: it keeps data if Load would still return had, and says whether it does.
	Swap func(ctx context.Context, id zone.ID, had, data []byte) (bool, error)
	// Store makes and finds private keys.
	Store KeyStore

	// InSync returns the newest serial number that all servers of a zone are known to have; nil: there are no others.
	InSync func(zone.ID) (serial uint32, ok bool)
	// Parents says what the parents have, and tells them; nil: nobody is asked.
	Parents Parents
	// Lease reports whether this server is the one that tends zones now; nil: there is no other.
	Lease func(context.Context) bool
	// IsShared says that other servers sign the zones, too: their steps are in what Load returns.
	IsShared bool

	Clock   *Steady   // nil: the system's
	Random  io.Reader // nil: crypto/rand
	Workers int       // zones that are tended at a time: 4
	Log     *slog.Logger
}

// KeyStore keeps private keys. *keystore.Store is one.
type KeyStore interface {
	// Generate makes a key, which is on the disk when it returns, and Load returns one; an error that Is
	// keystore.ErrLost where it is gone.
	Generate(ctx context.Context, zone dns.Name, algorithm uint8, bits int, flags uint16) (id string, k *dnssec.Key, err error)
	Load(ctx context.Context, id string) (*dnssec.Key, error)
	Remove(ctx context.Context, id string) error
}

// Parents is the side of the zones' parents.
type Parents interface {
	// Want says what a zone's parent should have; Seen is what its servers have; Forget ends the interest in it.
	Want(id zone.ID, w Wish)
	Seen(id zone.ID) keys.Parent
	Forget(id zone.ID)
}

// Wish is what the parent should have.
type Wish struct {
	DS       []dns.DS     // none: there should be no DS
	Keys     []dns.DNSKEY // that DS is of
	Known    []dns.DNSKEY // the zone's DNSKEY set
	CDS      []dns.DS     // that are served, and say so
	IsTold   bool         // they are served everywhere, and the parent may look
	IsSigned bool         // the zone is signed
	WasThere bool         // the DS were at the parent already when this server was started
}

// Equal reports whether two wishes are the same.
func (w *Wish) Equal(o *Wish) bool {
	sameDS := func(a, b dns.DS) bool { return string(a.RData()) == string(b.RData()) }
	sameKey := func(a, b dns.DNSKEY) bool { return string(a.RData()) == string(b.RData()) }
	return w.IsTold == o.IsTold && w.IsSigned == o.IsSigned && w.WasThere == o.WasThere &&
		slices.EqualFunc(w.DS, o.DS, sameDS) && slices.EqualFunc(w.CDS, o.CDS, sameDS) &&
		slices.EqualFunc(w.Keys, o.Keys, sameKey) && slices.EqualFunc(w.Known, o.Known, sameKey)
}

// Settings say how one zone is signed.
type Settings struct {
	Policy keys.Policy
	ZONEMD []uint8 // hash algorithms of digests that are kept
	// Auto leaves a zone alone that its authors sign, until one comes that is not signed.
	Auto bool
	// New says that nobody can have seen the zone before this server signs it.
	New bool
	// Token is where keys are made, as the KeyStore calls it; "": in files.
	Token string
	// Offline is what a KSK has signed that is not here; nil: it is here.
	Offline Offline
}

// equal reports whether zones can share settings. What comes from offline keys is a zone's own.
func (s *Settings) equal(o *Settings) bool {
	return s.Offline == nil && o.Offline == nil && reflect.DeepEqual(s, o)
}

// tokenStore is a KeyStore that makes keys in tokens, too.
type tokenStore interface {
	GenerateIn(ctx context.Context, token string, zone dns.Name, algorithm uint8, bits int, flags uint16) (id string, k *dnssec.Key, err error)
}
