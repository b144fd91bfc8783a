package keystore

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
)

const tokenPrefix = "pkcs11:"

// Ref names a key in a token.
type Ref struct {
	Token string // what the configuration calls it
	Label string // of the key, or "id=" and its CKA_ID in hex
}

func (r Ref) String() string { return tokenPrefix + r.Token + "/" + r.Label }

// Signer is a private key in a token.
type Signer interface {
	crypto.Signer
	// Ping says whether the key can be used at this moment.
	Ping(ctx context.Context) error
}

// TokenID is the id of a key in a token: pkcs11:TOKEN/LABEL;ALGORITHM;FLAGS. A token
// does not know what a key is used as, so that the id says it.
func TokenID(r Ref, algorithm uint8, flags uint16) string {
	return fmt.Sprintf("%s;%d;%d", r, algorithm, flags)
}

// ParseTokenID is the reverse. Without an algorithm it is the key's usual one, 0;
// without flags it is a KSK's or CSK's, 257.
func ParseTokenID(id string) (r Ref, algorithm uint8, flags uint16, err error) {
	bad := fmt.Errorf("%q: pkcs11:TOKEN/LABEL;ALGORITHM;FLAGS was expected, such as pkcs11:zones/example;13;257", clip(id))
	rest, isToken := strings.CutPrefix(id, tokenPrefix)
	parts := strings.Split(rest, ";")
	token, label, hasLabel := strings.Cut(parts[0], "/")
	if !isToken || len(parts) > 3 || !hasLabel || token == "" || label == "" || len(id) > 512 {
		return r, 0, 0, bad
	}
	flags = dns.DNSKEYZone | dns.DNSKEYSEP
	if len(parts) > 1 {
		if algorithm, err = dnssec.ParseAlgorithm(parts[1]); err != nil {
			return r, 0, 0, bad
		}
	}
	if len(parts) > 2 {
		n, err := strconv.ParseUint(parts[2], 10, 16)
		if err != nil {
			return r, 0, 0, bad
		}
		flags = uint16(n)
	}
	return Ref{token, label}, algorithm, flags, nil
}

var errNoTokens = errors.New("no way to tokens is set up: name the socket or the module of onoma-pkcs11")

func (s *Store) loadFromToken(ctx context.Context, id string) (*dnssec.Key, error) {
	r, algorithm, flags, err := ParseTokenID(id)
	if err != nil {
		return nil, fmt.Errorf("loading a key: %w", err)
	}
	if s.o.Tokens == nil {
		return nil, fmt.Errorf("loading the key %s: %w", id, errNoTokens)
	}
	signer, err := s.o.Tokens.Find(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("loading the key %s: %w", id, err)
	}
	if algorithm == 0 {
		algorithm = keyfile.AlgorithmOf(signer)
	}
	k, err := keyfile.NewKey(signer, algorithm, flags)
	if err != nil {
		return nil, fmt.Errorf("loading the key %s: %w", id, err)
	}
	return k, nil
}

// GenerateIn is Generate in a token, which keeps the key.
func (s *Store) GenerateIn(ctx context.Context, token string, zone dns.Name, algorithm uint8, bits int, flags uint16) (id string, k *dnssec.Key, err error) {
	if s.o.Tokens == nil {
		return "", nil, fmt.Errorf("generating a key of %s: %w", zone, errNoTokens)
	}
	var b [8]byte
	if _, err := io.ReadFull(s.o.Random, b[:]); err != nil {
		return "", nil, fmt.Errorf("generating a key of %s: %w", zone, err)
	}
	r, err := s.o.Tokens.Generate(ctx, token, zoneText(zone)+"+"+hex.EncodeToString(b[:]), algorithm, bits)
	if err != nil {
		return "", nil, fmt.Errorf("generating a key of %s in the token %s: %w", zone, token, err)
	}
	id = TokenID(r, algorithm, flags)
	k, err = s.Load(ctx, id)
	return id, k, err
}
