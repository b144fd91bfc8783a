package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha1" // that crypto.Hash finds them
	_ "crypto/sha256"
	_ "crypto/sha512"
	"fmt"
	"math/big"

	"github.com/cloudflare/circl/sign/ed448"
)

// Verify checks the signature of data by a public key in the form of DNSKEY and
// KEY records. What it costs is bounded: RSA keys that are too much work are
// ErrKey.
func Verify(algorithm uint8, key, data, signature []byte) error {
	h := hashOf(algorithm)
	switch algorithm {
	case RSASHA1, RSASHA1NSEC3SHA1, RSASHA256, RSASHA512:
		return verifyRSA(h, key, data, signature)
	case ECDSAP256SHA256:
		return verifyECDSA(elliptic.P256(), h, key, data, signature)
	case ECDSAP384SHA384:
		return verifyECDSA(elliptic.P384(), h, key, data, signature)
	case ED25519:
		return verdict(len(key) == ed25519.PublicKeySize, func() bool { return ed25519.Verify(key, data, signature) })
	case ED448: // with an empty context (RFC 8080 §4)
		return verdict(len(key) == ed448.PublicKeySize, func() bool { return ed448.Verify(key, data, signature, "") })
	}
	return fmt.Errorf("%w: %d", ErrAlgorithm, algorithm)
}

func verdict(keyFits bool, verify func() bool) error {
	switch {
	case !keyFits:
		return ErrKey
	case !verify():
		return ErrSignature
	}
	return nil
}

func digest(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

// Sign signs data, and PublicKey has the key that Verify takes. Zones are signed
// with a Key.
func Sign(algorithm uint8, key crypto.Signer, data []byte) ([]byte, error) {
	return appendSignature(nil, algorithm, key, data)
}

// appendSignature appends the signature in the form of RRSIG.
func appendSignature(dst []byte, algorithm uint8, key crypto.Signer, data []byte) ([]byte, error) {
	h := hashOf(algorithm)
	signed := data
	var sum [64]byte
	if h != 0 {
		signed = sum[:sumInto(h, &sum, data)]
	}
	sig, err := key.Sign(randomFor(key), signed, h)
	if err != nil {
		return dst, fmt.Errorf("signing: %w", err)
	}
	if k, ok := key.Public().(*ecdsa.PublicKey); ok {
		out, ok := appendECDSAPair(dst, sig, k.Params().BitSize/8)
		if !ok {
			return dst, fmt.Errorf("signing: the key's holder gave no ECDSA signature")
		}
		return out, nil
	}
	return append(dst, sig...), nil
}

// PublicKey returns a public key in the form of DNSKEY and KEY records.
func PublicKey(key crypto.PublicKey) ([]byte, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return k, nil
	case ed448.PublicKey:
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
