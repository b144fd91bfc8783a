package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // that crypto.Hash finds them
	_ "crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// The algorithms that are known here, by their DNSSEC numbers (RFC 8624).
const (
	RSASHA256       = 8  // RFC 5702
	RSASHA512       = 10 // RFC 5702
	ECDSAP256SHA256 = 13 // RFC 6605
	ECDSAP384SHA384 = 14 // RFC 6605
	ED25519         = 15 // RFC 8080
)

// Errors of keys and signatures.
var (
	ErrAlgorithm = errors.New("algorithm is not known")
	ErrKey       = errors.New("malformed public key")
	ErrSignature = errors.New("signature is wrong")
)

// Sizes of RSA keys: below, Go takes none for secure, and above, a signature takes
// more work than it is worth (RFC 3110 §2 has 4096).
const minRSA, maxRSA = 1024, 4096

// Verify checks the signature of data by a public key in the form of DNSKEY and
// KEY records.
func Verify(algorithm uint8, key, data, signature []byte) error {
	switch algorithm {
	case RSASHA256, RSASHA512:
		return verifyRSA(hashOf(algorithm), key, data, signature)
	case ECDSAP256SHA256:
		return verifyECDSA(elliptic.P256(), hashOf(algorithm), key, data, signature)
	case ECDSAP384SHA384:
		return verifyECDSA(elliptic.P384(), hashOf(algorithm), key, data, signature)
	case ED25519:
		switch {
		case len(key) != ed25519.PublicKeySize:
			return ErrKey
		case !ed25519.Verify(key, data, signature):
			return ErrSignature
		}
		return nil
	}
	return fmt.Errorf("%w: %d", ErrAlgorithm, algorithm)
}

func hashOf(algorithm uint8) crypto.Hash {
	switch algorithm {
	case RSASHA256, ECDSAP256SHA256:
		return crypto.SHA256
	case ECDSAP384SHA384:
		return crypto.SHA384
	case RSASHA512:
		return crypto.SHA512
	}
	return 0
}

func digest(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

func verifyRSA(h crypto.Hash, key, data, signature []byte) error {
	k, err := parseRSA(key)
	if err != nil {
		return err
	}
	if rsa.VerifyPKCS1v15(k, h, digest(h, data), signature) != nil {
		return ErrSignature
	}
	return nil
}

// parseRSA reads a public key as RFC 3110 §2 has it: the length of the exponent,
// the exponent, the modulus.
func parseRSA(key []byte) (*rsa.PublicKey, error) {
	if len(key) < 3 {
		return nil, ErrKey
	}
	n, key := int(key[0]), key[1:]
	if n == 0 {
		n, key = int(key[0])<<8|int(key[1]), key[2:]
	}
	if n == 0 || n > 4 || n >= len(key) || len(key)-n > maxRSA/8 {
		return nil, ErrKey
	}
	e := new(big.Int).SetBytes(key[:n])
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(key[n:]), E: int(e.Int64())}
	if bits := k.N.BitLen(); bits < minRSA || k.E < 3 || k.E > 1<<31-1 {
		return nil, fmt.Errorf("%w: RSA of %d bits with exponent %d", ErrKey, bits, k.E)
	}
	return k, nil
}

// verifyECDSA: keys and signatures are two numbers of the curve's size each
// (RFC 6605 §4).
func verifyECDSA(curve elliptic.Curve, h crypto.Hash, key, data, signature []byte) error {
	size := curve.Params().BitSize / 8
	if len(key) != 2*size {
		return ErrKey
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, key...))
	if err != nil {
		return ErrKey
	}
	if len(signature) != 2*size {
		return ErrSignature
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	if !ecdsa.Verify(k, digest(h, data), r, s) {
		return ErrSignature
	}
	return nil
}

// Sign signs data, and PublicKey has the key that Verify takes.
func Sign(algorithm uint8, key crypto.Signer, data []byte) ([]byte, error) {
	h := hashOf(algorithm)
	signed := data
	if h != 0 {
		signed = digest(h, data)
	}
	sig, err := key.Sign(rand.Reader, signed, h)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	k, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return sig, nil
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &pair); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	size := k.Params().BitSize / 8
	out := make([]byte, 2*size)
	pair.R.FillBytes(out[:size])
	pair.S.FillBytes(out[size:])
	return out, nil
}

// PublicKey returns a public key in the form of DNSKEY and KEY records.
func PublicKey(key crypto.PublicKey) ([]byte, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return k, nil
	case *ecdsa.PublicKey:
		b, err := k.Bytes()
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		return b[1:], nil
	case *rsa.PublicKey:
		e := big.NewInt(int64(k.E)).Bytes()
		return append(append([]byte{byte(len(e))}, e...), k.N.Bytes()...), nil
	}
	return nil, fmt.Errorf("%w: %T", ErrAlgorithm, key)
}
