package token

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"onoma/dns/dnssec"
	"onoma/signer/keystore"
)

// Set is the tokens of a configuration by their names there. It is the
// keystore.Tokens of a store.
type Set map[string]*Client

var _ keystore.Tokens = Set{}

// Spec is a token of a configuration.
type Spec struct {
	Name   string // what the configuration calls it, which is what ids of keys have
	Module string // the PKCS #11 library of its maker
	Label  string
	PIN    string // file:PATH, env:NAME or credential:NAME
}

// NewSet returns the tokens; each one's helper is started when it is first needed.
func NewSet(specs []Spec) Set {
	s := Set{}
	for _, t := range specs {
		s[t.Name] = NewClient(Options{Helper: &Helper{Module: t.Module, Token: t.Label, PIN: t.PIN}})
	}
	return s
}

func (s Set) client(name string) (*Client, error) {
	c, found := s[name]
	if !found {
		return nil, fmt.Errorf("%w: no token is called %q in the configuration", ErrGone, name)
	}
	return c, nil
}

var kinds = map[uint8]Kind{
	dnssec.RSASHA256: RSA, dnssec.RSASHA512: RSA,
	dnssec.ECDSAP256SHA256: P256, dnssec.ECDSAP384SHA384: P384,
	dnssec.ED25519: Ed25519, dnssec.ED448: Ed448,
}

// Generate makes a key for an algorithm; bits is for RSA, 2048 where it is 0.
func (s Set) Generate(ctx context.Context, token, label string, algorithm uint8, bits int) (keystore.Ref, error) {
	r := keystore.Ref{Token: token, Label: label}
	kind, known := kinds[algorithm]
	if !known {
		return r, fmt.Errorf("%w: %s", dnssec.ErrAlgorithm, dnssec.AlgorithmName(algorithm))
	}
	if kind == RSA && bits == 0 {
		bits = 2048
	}
	c, err := s.client(token)
	if err != nil {
		return r, err
	}
	return r, c.Generate(ctx, label, kind, bits)
}

// Find returns the signer of a key.
func (s Set) Find(ctx context.Context, r keystore.Ref) (keystore.Signer, error) {
	c, err := s.client(r.Token)
	if err != nil {
		return nil, err
	}
	found, err := c.Find(ctx, r.Label)
	if err != nil {
		return nil, err // not a nil *Signer in an interface
	}
	return found, nil
}

// List returns the keys of all tokens.
func (s Set) List(ctx context.Context) ([]keystore.Ref, error) {
	var refs []keystore.Ref
	for _, name := range slices.Sorted(maps.Keys(s)) {
		labels, err := s[name].List(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the keys of the token %s: %w", name, err)
		}
		for _, label := range labels {
			refs = append(refs, keystore.Ref{Token: name, Label: label})
		}
	}
	return refs, nil
}

// Close ends all clients and the helpers that they started.
func (s Set) Close() {
	for _, c := range s {
		c.Close()
	}
}
