package keystore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
)

// Info is what is known of a key without its private half.
type Info struct {
	ID      string
	Zone    dns.Name
	Key     dns.DNSKEY
	Tag     uint16
	Created time.Time
	Sealed  bool   // it is encrypted
	Seal    string // the seal's fingerprint, where Sealed
	Err     error  // why it cannot be used, as far as that is seen without opening it
}

// List returns the keys of a zone, or of all for the zero Name, by their ids. Keys
// in tokens are not among them: they belong to nobody.
func (s *Store) List(ctx context.Context, zone dns.Name) ([]Info, error) {
	ids, err := s.home.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing keys in %s: %w", s.where, err)
	}
	var infos []Info
	slices.Sort(ids)
	for _, id := range ids {
		if !zone.IsZero() && zonePart(id) != zoneText(zone) {
			continue
		}
		info := s.Info(ctx, id)
		if info.Err != nil || zone.IsZero() || info.Zone.Equal(zone) {
			infos = append(infos, info)
		}
	}
	return infos, ctx.Err()
}

// Info returns what is known of one key.
func (s *Store) Info(ctx context.Context, id string) Info {
	f, err := s.read(ctx, id)
	if err != nil {
		return Info{ID: id, Err: err}
	}
	info := Info{ID: id, Zone: f.zone, Key: f.key, Tag: f.key.KeyTag(), Created: f.created, Sealed: f.sealed(), Seal: f.seal}
	if info.Sealed && !slices.ContainsFunc(s.allSeals(), func(x seal) bool { return x.print == f.seal }) {
		info.Err = s.explain(id, f.sealError(s.allSeals()))
	}
	return info
}

// Format is a form that Export writes.
type Format string

// The forms: PKCS #8 in PEM, as Knot and PowerDNS import; BIND's .private; BIND's
// .key, which has the public half only.
const (
	PEM     Format = "pem"
	Private Format = "private"
	Public  Format = "key"
)

// Export writes a key. Without protection, so that it is the caller's to care who
// reads it.
func (s *Store) Export(ctx context.Context, id string, form Format, w io.Writer) error {
	k, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	var text []byte
	switch form {
	case PEM:
		text, err = keyfile.AppendPEM(nil, k.Private())
	case Private:
		text, err = keyfile.AppendPrivate(nil, &keyfile.Private{Algorithm: k.Algorithm(), Signer: k.Private(), Times: keyfile.Times{Created: s.Info(ctx, id).Created}})
	case Public:
		text, err = s.exportPublic(ctx, id, k)
	default:
		err = fmt.Errorf("form %q: pem, private or key was expected", form)
	}
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		return fmt.Errorf("exporting the key %s: %w", id, err)
	}
	return nil
}

func (s *Store) exportPublic(ctx context.Context, id string, k *dnssec.Key) ([]byte, error) {
	info := s.Info(ctx, id)
	if info.Err != nil {
		return nil, errors.New("its zone is not known: a DNSKEY record of a key in a token is made from the zone")
	}
	return keyfile.AppendPublic(nil, &keyfile.Public{Name: info.Zone, Key: k.DNSKEY(), Meta: keyfile.Meta{Times: keyfile.Times{Created: info.Created}}}), nil
}

// Remove takes a key out of use. In a folder, its file is moved to 'removed' below
// it, with the time in its name, from where it can be moved back; in the database
// it is deleted. A key in a token stays there.
func (s *Store) Remove(ctx context.Context, id string) error {
	if strings.HasPrefix(id, tokenPrefix) {
		s.forget(id)
		return nil
	}
	if !isID(id) {
		return fmt.Errorf("removing a key: %q is no id of a key; one such as %s was expected", id, exampleID)
	}
	err := s.home.Delete(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it is gone, as was wanted
	}
	if err != nil {
		return fmt.Errorf("removing the key %s from %s: %w", id, s.where, err)
	}
	s.forget(id)
	return nil
}

func (s *Store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cache, id)
	part := zonePart(id)
	s.tags[part] = slices.DeleteFunc(s.tags[part], func(x string) bool { return x == id })
	if len(s.tags[part]) == 0 {
		delete(s.tags, part)
	}
}

// Reseal writes all keys anew under another seal, nil for none, and goes on with
// that. It says how many there were to write. Where it is interrupted, every key is
// under one of the two, and it can be done again by a Store with the new as Seal and
// the old among OldSeals.
func (s *Store) Reseal(ctx context.Context, secret []byte) (written int, err error) {
	if secret == nil && s.o.Blobs != nil {
		return 0, fmt.Errorf("sealing keys: %w: keys in the database are always sealed", ErrExposed)
	}
	var to *seal
	if secret != nil {
		x := newSeal(secret)
		to = &x
	}
	s.mu.Lock()
	if to != nil {
		s.seals = append([]seal{*to}, s.seals...)
	}
	s.o.Seal = secret // what is generated meanwhile is under the new one
	s.mu.Unlock()
	ids, err := s.home.List(ctx)
	if err != nil {
		return 0, fmt.Errorf("sealing keys in %s: %w", s.where, err)
	}
	for _, id := range ids {
		did, err := s.reseal(ctx, id, to)
		if err != nil {
			return written, fmt.Errorf("sealing keys, of which %d are done: %w", written, err)
		}
		if did {
			written++
		}
	}
	return written, nil
}

func (s *Store) reseal(ctx context.Context, id string, to *seal) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	f, err := s.read(ctx, id)
	if err != nil {
		return false, err
	}
	if to != nil && f.seal == to.print || to == nil && !f.sealed() {
		return false, nil
	}
	private, err := f.open(s.allSeals())
	if err != nil {
		return false, s.explain(id, err)
	}
	text, err := f.encode(private, to, s.o.Random)
	if err != nil {
		return false, fmt.Errorf("the key %s: %w", id, err)
	}
	if err := s.home.Put(ctx, id, text, true); err != nil {
		return false, fmt.Errorf("the key %s: %w", id, err)
	}
	return true, nil
}
