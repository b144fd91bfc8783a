package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"

	"github.com/cloudflare/circl/sign/ed448"
)

// Signer is a private key in a token; it is a crypto.Signer.
type Signer struct {
	client *Client
	label  string
	kind   Kind
	public crypto.PublicKey
}

// Find returns the signer of a key, by its label or by "id=" and its CKA_ID in hex.
func (c *Client) Find(ctx context.Context, label string) (*Signer, error) {
	m, err := c.ask(ctx, opPublic, []byte(label))
	if err != nil {
		return nil, err
	}
	if len(m.fields) != 2 {
		return nil, errMessage
	}
	kind := Kind(m.fields[0])
	public, err := parsePublic(kind, m.fields[1])
	if err != nil {
		return nil, err
	}
	return &Signer{c, label, kind, public}, nil
}

// parsePublic reads a key in the form of DNSKEY records.
func parsePublic(kind Kind, b []byte) (crypto.PublicKey, error) {
	bad := fmt.Errorf("%w: its public key of kind %q is malformed", ErrDenied, clip(string(kind)))
	switch {
	case kind == P256 || kind == P384:
		curve := map[Kind]elliptic.Curve{P256: elliptic.P256(), P384: elliptic.P384()}[kind]
		k, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, b...))
		if err != nil {
			return nil, bad
		}
		return k, nil
	case kind == Ed25519 && len(b) == ed25519.PublicKeySize:
		return ed25519.PublicKey(b), nil
	case kind == Ed448 && len(b) == ed448.PublicKeySize:
		return ed448.PublicKey(b), nil
	case kind == RSA && len(b) > 2 && b[0] > 0 && b[0] <= 4 && len(b) > int(b[0])+1:
		n := int(b[0])
		k := &rsa.PublicKey{E: int(new(big.Int).SetBytes(b[1 : 1+n]).Int64()), N: new(big.Int).SetBytes(b[1+n:])}
		if k.E >= 3 && k.N.BitLen() >= 1024 && k.N.BitLen() <= 4096 {
			return k, nil
		}
	}
	return nil, bad
}

// Public returns the public key.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Ping asks whether the token still has the key.
func (s *Signer) Ping(ctx context.Context) error {
	_, err := s.client.ask(ctx, opPublic, []byte(s.label))
	return err
}

// Sign signs a digest, or with Ed25519 and Ed448 data themselves, within the
// client's time limit. RSA is PKCS #1 v1.5 (RFC 5702 §3.1).
func (s *Signer) Sign(_ io.Reader, data []byte, o crypto.SignerOpts) ([]byte, error) {
	hash, known := hashName(o.HashFunc())
	if !known {
		return nil, fmt.Errorf("signing by a token: %w: hash %v", ErrDenied, o.HashFunc())
	}
	m, err := s.client.ask(context.Background(), opSign, []byte(s.label), []byte(hash), data)
	if err != nil {
		return nil, fmt.Errorf("signing by the key %q of a token: %w", s.label, err)
	}
	if len(m.fields) != 1 {
		return nil, fmt.Errorf("signing by a token: %w", errMessage)
	}
	if s.kind != P256 && s.kind != P384 {
		return m.fields[0], nil
	}
	size := len(m.fields[0]) / 2
	pair := struct{ R, S *big.Int }{new(big.Int).SetBytes(m.fields[0][:size]), new(big.Int).SetBytes(m.fields[0][size:])}
	return asn1.Marshal(pair) // as crypto.Signer of ECDSA keys has it
}
