package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/cloudflare/circl/sign/ed448"

	"onoma/dns/dnssec"
)

// ReadPEM reads a private key from a PEM file, as Knot keeps them and PowerDNS
// exports them. The file says neither flags nor, for RSA, the algorithm; algorithm
// 0 is that of the key's kind (RSASHA256 for RSA). Warnings are as in Meta.
func ReadPEM(path string, algorithm uint8, flags uint16) (k *dnssec.Key, warnings []string, err error) {
	text, mode, err := readFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a key: %w", err)
	}
	s, err := ParsePEM(path, text)
	if err != nil {
		return nil, nil, err
	}
	natural := AlgorithmOf(s)
	if algorithm == 0 {
		algorithm = natural
	}
	if natural != algorithm && natural != dnssec.RSASHA256 {
		return nil, nil, mistake(path, 1, "holds a key of algorithm %s; %s was expected", algorithmText(natural), algorithmText(algorithm))
	}
	k, err = NewKey(s, algorithm, flags)
	if err != nil {
		return nil, nil, mistake(path, 1, "%v", err)
	}
	return k, exposed(path, mode), nil
}

// AlgorithmOf returns the usual algorithm of a key's kind: RSASHA256 for RSA; 0 for
// keys that no algorithm is for.
func AlgorithmOf(s crypto.Signer) uint8 {
	switch k := s.Public().(type) {
	case *rsa.PublicKey:
		return dnssec.RSASHA256
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return dnssec.ECDSAP256SHA256
		case elliptic.P384():
			return dnssec.ECDSAP384SHA384
		}
	case ed25519.PublicKey:
		return dnssec.ED25519
	case ed448.PublicKey:
		return dnssec.ED448
	}
	return 0
}

// ParsePEM reads the text of a PEM file; errors name it file. Blocks that are no
// keys (EC PARAMETERS) are passed over.
func ParsePEM(file string, text []byte) (crypto.Signer, error) {
	if len(text) > maxFile {
		return nil, mistake(file, 0, "is larger than %d octets, which no key is", maxFile)
	}
	for rest := text; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			return nil, mistake(file, 1, "a private key in PEM was expected (-----BEGIN PRIVATE KEY-----)")
		}
		line := 1 + bytes.Count(text[:bytes.Index(text, []byte("-----BEGIN "+block.Type))], []byte("\n"))
		switch {
		case strings.Contains(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, mistake(file, line, "the key is under a pass phrase: take that away first, by 'openssl pkey -in FILE -out NEW'")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			s, err := parseDER(block.Type, block.Bytes)
			if err != nil {
				return nil, mistake(file, line, "%s: %v", block.Type, err)
			}
			return s, nil
		case strings.HasSuffix(block.Type, "PUBLIC KEY"), block.Type == "CERTIFICATE":
			return nil, mistake(file, line, "a private key was expected; this is a %s", strings.ToLower(block.Type))
		}
		rest = after
	}
}

// parseDER reads PKCS #8 (RFC 5958), or what older programs write for the kind.
func parseDER(kind string, der []byte) (crypto.Signer, error) {
	if n := rsaBits(der); n > maxRSA+64 {
		return nil, fmt.Errorf("has an integer of %d bits; an RSA key of at most %d bits was expected", n, maxRSA)
	}
	var k any
	var err error
	switch kind {
	case "RSA PRIVATE KEY":
		k, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(der)
	case "PRIVATE KEY":
		if seed, isEd448 := parseEd448(der); isEd448 {
			return NewSigner(dnssec.ED448, seed)
		}
		k, err = x509.ParsePKCS8PrivateKey(der)
	default:
		return nil, fmt.Errorf("PKCS #8 was expected (-----BEGIN PRIVATE KEY-----)")
	}
	if err != nil {
		return nil, err
	}
	s, isSigner := k.(crypto.Signer)
	if !isSigner || AlgorithmOf(s) == 0 {
		return nil, fmt.Errorf("keys of type %T have no DNSSEC algorithm: RSA, ECDSA on P-256 or P-384, Ed25519 or Ed448 was expected", k)
	}
	return s, nil
}

// rsaBits bounds the work on an RSA key by the first integer of more than an octet
// that der holds, before anybody computes with it.
func rsaBits(der []byte) int {
	for range 8 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		switch {
		case err != nil:
			return 0
		case v.Tag == asn1.TagInteger && len(v.Bytes) > 1:
			return 8 * len(v.Bytes)
		case v.Tag == asn1.TagInteger:
			der = rest // the version
		case v.Tag == asn1.TagSequence && len(v.Bytes) > 0 && v.Bytes[0] == asn1.TagOID:
			der = rest // what kind of key it is
		default:
			der = v.Bytes
		}
	}
	return 0
}

// oidEd448 is what marks the key's kind (RFC 8410 §3).
var oidEd448 = asn1.ObjectIdentifier{1, 3, 101, 113}

// pkcs8 is RFC 5958 §2; attributes and a public key may follow and are not needed.
type pkcs8 struct {
	Version   int
	Algorithm pkix.AlgorithmIdentifier
	Key       []byte
}

// parseEd448 reads the seed, which is an octet string in the octet string (RFC
// 8410 §7).
func parseEd448(der []byte) (seed []byte, is bool) {
	var p pkcs8
	if _, err := asn1.Unmarshal(der, &p); err != nil || !p.Algorithm.Algorithm.Equal(oidEd448) {
		return nil, false
	}
	if rest, err := asn1.Unmarshal(p.Key, &seed); err != nil || len(rest) > 0 {
		return nil, true
	}
	return seed, true
}

// AppendPEM appends a private key as PKCS #8 in PEM.
func AppendPEM(dst []byte, s crypto.Signer) ([]byte, error) {
	der, err := MarshalPKCS8(s)
	if err != nil {
		return dst, err
	}
	return append(dst, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}

// MarshalPKCS8 returns a private key as PKCS #8, and ParsePKCS8 reads it.
func MarshalPKCS8(s crypto.Signer) ([]byte, error) {
	switch k := s.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return x509.MarshalPKCS8PrivateKey(k)
	case ed448.PrivateKey:
		inner, err := asn1.Marshal(k.Seed())
		if err != nil {
			return nil, err
		}
		return asn1.Marshal(pkcs8{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidEd448}, Key: inner})
	}
	return nil, fmt.Errorf("%w: a private key of type %T cannot be written", ErrToken, s)
}

// ParsePKCS8 reads a private key.
func ParsePKCS8(der []byte) (crypto.Signer, error) { return parseDER("PRIVATE KEY", der) }
