// Package keystore keeps the private keys of signed zones: one file each in a
// folder that nobody else may read, or a row each in the database that nodes
// share. A key that Generate returns is on disk. Keys in tokens (PKCS #11) are
// used by the same ids, and stay where they are.
//
// Files may be sealed: encrypted under a key that comes from elsewhere, together
// with what they say in clear, so that none can be read, changed or put in
// another's place by who has only the folder or the database.
//
// A Store may be used by any number of goroutines, and several processes may use
// one folder: files are made whole, never replaced but by Reseal, and removed by
// being moved aside.
//
// Files are PEM (RFC 7468 §2, with headers as in RFC 1421 §4.6) around PKCS #8
// (RFC 5958); sealing is XChaCha20-Poly1305 under HKDF-SHA256 (RFC 5869).
package keystore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Errors, which stand in front of a sentence that names the key and the cure.
var (
	ErrLost    = errors.New("private key is lost")                     // there is no such file, or it is damaged
	ErrSeal    = errors.New("private key is sealed under another key") // or under one, and none is given
	ErrExposed = errors.New("private keys could be read by others")
)

// Blobs is where keys are kept when it is not a folder: the database of several
// nodes. What is put there is always sealed.
type Blobs interface {
	// Get returns what is kept under an id; fs.ErrNotExist where nothing is.
	Get(ctx context.Context, id string) ([]byte, error)
	// Put keeps something new, durably; fs.ErrExist where something is. With
	// replace, it takes the place of what is there.
	Put(ctx context.Context, id string, data []byte, replace bool) error
	// List returns all ids.
	List(ctx context.Context) ([]string, error)
	// Delete ends what is kept under an id; fs.ErrNotExist where nothing is.
	Delete(ctx context.Context, id string) error
}

// Tokens is the way to keys that are not kept here; package keystore/token has one.
type Tokens interface {
	// Generate makes a key in the token of that name and returns what names it there.
	Generate(ctx context.Context, token, label string, algorithm uint8, bits int) (Ref, error)
	// Find returns the signer of a key.
	Find(ctx context.Context, r Ref) (Signer, error)
	// List returns the keys of all tokens.
	List(ctx context.Context) ([]Ref, error)
}

// Options is what a Store works with.
type Options struct {
	Dir      string   // the folder; it is made if it is not there
	Blobs    Blobs    // instead of a folder; needs Seal
	Seal     []byte   // what SealFrom returns; nil: files are not sealed
	OldSeals [][]byte // that are tried on files which are not sealed under Seal
	Tokens   Tokens   // nil: keys in tokens cannot be used
	Cache    int      // how many keys are kept in memory; 0: 65,536
	Random   io.Reader
	Clock    func() time.Time
}

// Store holds private keys.
type Store struct {
	home  Blobs
	where string // for people
	o     Options

	mu    sync.Mutex
	seals []seal // the first is what is written under; none: in clear
	cache map[string]*dnssec.Key
	tags  map[string][]string // ids by the name of the zone in them, of what is there or is about to be
}

// Open opens a store. It refuses a folder that others may read.
func Open(o Options) (*Store, error) {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Cache == 0 {
		o.Cache = 1 << 16
	}
	s := &Store{home: o.Blobs, where: "the database", o: o, cache: map[string]*dnssec.Key{}, tags: map[string][]string{}}
	if o.Blobs != nil && o.Seal == nil {
		return nil, fmt.Errorf("opening keys in the database: %w: they are kept there sealed only; set seal to what holds the key to them (file:PATH)", ErrExposed)
	}
	for _, secret := range slices.Concat([][]byte{o.Seal}, o.OldSeals) {
		if secret != nil {
			s.seals = append(s.seals, newSeal(secret))
		}
	}
	if o.Blobs == nil {
		dir, err := openFolder(o.Dir, o.Clock)
		if err != nil {
			return nil, err
		}
		s.home, s.where = dir, o.Dir
	}
	return s, s.readNames(context.Background())
}

// readNames learns which keys there are, by their ids.
func (s *Store) readNames(ctx context.Context) error {
	ids, err := s.home.List(ctx)
	if err != nil {
		return fmt.Errorf("opening keys in %s: %w", s.where, err)
	}
	for _, id := range ids {
		s.tags[zonePart(id)] = append(s.tags[zonePart(id)], id)
	}
	return nil
}

// Generate makes a key of a zone; when it returns, the key is on disk. Its tag is
// none that another key of the zone and algorithm has or would have if revoked
// (RFC 5011 §2.1), so that no validator has to try several.
func (s *Store) Generate(ctx context.Context, zone dns.Name, algorithm uint8, bits int, flags uint16) (id string, k *dnssec.Key, err error) {
	for range 16 {
		k, err = dnssec.GenerateKey(s.o.Random, algorithm, bits, flags)
		if err != nil {
			return "", nil, fmt.Errorf("generating a key of %s: %w", zone, err)
		}
		if !s.isTaken(zone, k) {
			id, err = s.keep(ctx, zone, k)
			return id, k, err
		}
	}
	return "", nil, fmt.Errorf("generating a key of %s: 16 keys had tags that are taken: remove keys that are no longer used", zone)
}

// Import keeps a key that was made elsewhere. One that is here already, by its
// public half and zone, keeps its id.
func (s *Store) Import(ctx context.Context, zone dns.Name, k *dnssec.Key) (id string, err error) {
	for _, id := range s.namesOf(zone) {
		old, err := s.Load(ctx, id)
		if err == nil && old.DNSKEY().Flags == k.DNSKEY().Flags && string(old.RData()) == string(k.RData()) {
			return id, nil
		}
	}
	return s.keep(ctx, zone, k)
}

// keep writes a key under a new id.
func (s *Store) keep(ctx context.Context, zone dns.Name, k *dnssec.Key) (string, error) {
	id, err := s.newID(zone, k)
	if err != nil {
		return "", err
	}
	f := &file{id: id, zone: zone, key: k.DNSKEY(), created: s.o.Clock()}
	text, err := f.encode(k.Private(), s.seal(), s.o.Random)
	if err != nil {
		return "", fmt.Errorf("keeping a key of %s: %w", zone, err)
	}
	if err := s.home.Put(ctx, id, text, false); err != nil {
		return "", fmt.Errorf("keeping a key of %s in %s: %w", zone, s.where, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[zonePart(id)] = append(s.tags[zonePart(id)], id)
	s.remember(id, k)
	return id, nil
}

// remember puts a key into the cache; where that is full, any other one leaves.
func (s *Store) remember(id string, k *dnssec.Key) {
	if len(s.cache) >= s.o.Cache {
		for other := range s.cache {
			delete(s.cache, other)
			break
		}
	}
	s.cache[id] = k
}

// Load returns a key. ErrLost: its file is missing or damaged; ErrSeal: it is
// sealed otherwise. Both come with what to do.
func (s *Store) Load(ctx context.Context, id string) (*dnssec.Key, error) {
	s.mu.Lock()
	k, found := s.cache[id]
	s.mu.Unlock()
	if found {
		return k, nil
	}
	k, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(id, k)
	return k, nil
}

func (s *Store) load(ctx context.Context, id string) (*dnssec.Key, error) {
	if strings.HasPrefix(id, tokenPrefix) {
		return s.loadFromToken(ctx, id)
	}
	f, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	private, err := f.open(s.allSeals())
	if err != nil {
		return nil, s.explain(id, err)
	}
	k, err := dnssec.NewKey(f.key, private)
	if err != nil {
		return nil, s.explain(id, damaged("%v", err))
	}
	return k, nil
}

// read returns what a key's file says in clear.
func (s *Store) read(ctx context.Context, id string) (*file, error) {
	if !isID(id) {
		return nil, fmt.Errorf("loading a key: %q is no id of a key; one such as %s was expected", id, exampleID)
	}
	text, err := s.home.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is not in %s: restore it there from a backup, or roll the zone over to a new key", ErrLost, id, s.where)
	case err != nil:
		return nil, fmt.Errorf("loading the key %s from %s: %w", id, s.where, err)
	}
	f, err := decode(id, text)
	if err != nil {
		return nil, s.explain(id, err)
	}
	return f, nil
}

// explain says which file is meant, and what to do about it.
func (s *Store) explain(id string, err error) error {
	if errors.Is(err, ErrSeal) {
		return fmt.Errorf("%w (%s in %s)", err, id, s.where)
	}
	return fmt.Errorf("%w: %s in %s is damaged (%w): restore it from a backup, or roll the zone over to a new key", ErrLost, id, s.where, err)
}

func (s *Store) seal() *seal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.Seal == nil || len(s.seals) == 0 {
		return nil
	}
	return &s.seals[0]
}

func (s *Store) allSeals() []seal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seals
}

// Forget empties the cache, so that files are read anew.
func (s *Store) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.cache)
}
