package dnssec

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// Sizes of RSA moduli in bits. RFC 3110 §2 has none above 4096, and RFC 5702 §2
// none below 512. New keys have at least 1024.
const minRSA, minNewRSA, maxRSA = 512, 1024, 4096

// maxRSAWork bounds what one verification costs, in bits of the exponent times
// the square of the bits of the modulus: exponents of 256 bits at 4096 bits, of
// 1024 at 2048, of any size that the modulus allows at 1024. That is about a
// dozen times the usual 65537 with the largest modulus, and a few milliseconds.
const maxRSAWork = 256 << 24

// rsaKey is a public key as RFC 3110 §2 has it, exponents of any size included.
type rsaKey struct{ n, e *big.Int }

// parseRSA reads the length of the exponent, the exponent, the modulus.
func parseRSA(key []byte) (rsaKey, error) {
	if len(key) < 3 {
		return rsaKey{}, ErrKey
	}
	n, key := int(key[0]), key[1:]
	if n == 0 {
		n, key = int(key[0])<<8|int(key[1]), key[2:]
	}
	if n == 0 || n >= len(key) || n > maxRSA/8 || len(key)-n > maxRSA/8 {
		return rsaKey{}, ErrKey
	}
	k := rsaKey{e: new(big.Int).SetBytes(key[:n]), n: new(big.Int).SetBytes(key[n:])}
	bits, ebits := k.n.BitLen(), k.e.BitLen()
	switch {
	case bits < minRSA:
		return rsaKey{}, fmt.Errorf("%w: RSA of %d bits, expected %d to %d", ErrKey, bits, minRSA, maxRSA)
	case ebits < 2 || k.e.Bit(0) == 0 || k.n.Bit(0) == 0:
		return rsaKey{}, fmt.Errorf("%w: RSA with an even modulus or exponent, or with exponent 1", ErrKey)
	case ebits*bits*bits > maxRSAWork:
		return rsaKey{}, fmt.Errorf("%w: RSA of %d bits with an exponent of %d bits is too much work", ErrKey, bits, ebits)
	}
	return k, nil
}

// verifyRSA: crypto/rsa takes neither moduli below 1024 bits nor exponents above
// 2^31-1; both are found in zones (2^32+1 above all). Public keys need no
// constant time, so those are left to math/big.
func verifyRSA(h crypto.Hash, key, data, signature []byte) error {
	k, err := parseRSA(key)
	if err != nil {
		return err
	}
	if k.n.BitLen() >= 1024 && k.e.BitLen() <= 31 {
		public := &rsa.PublicKey{N: k.n, E: int(k.e.Int64())}
		if rsa.VerifyPKCS1v15(public, h, digest(h, data), signature) != nil {
			return ErrSignature
		}
		return nil
	}
	return k.verify(h, digest(h, data), signature)
}

// hashPrefix is the DigestInfo before a hash (RFC 8017 §9.2 note 1).
var hashPrefix = map[crypto.Hash][]byte{
	crypto.SHA1:   {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14},
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

// verify is RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2): what the signature holds is
// compared with what it must hold, octet by octet; nothing is parsed.
func (k rsaKey) verify(h crypto.Hash, sum, signature []byte) error {
	size := (k.n.BitLen() + 7) / 8
	s := new(big.Int).SetBytes(signature)
	want := encodePKCS1(h, sum, size)
	if len(signature) != size || s.Cmp(k.n) >= 0 || want == nil {
		return ErrSignature
	}
	got := s.Exp(s, k.e, k.n).FillBytes(make([]byte, size))
	if !bytes.Equal(got, want) {
		return ErrSignature
	}
	return nil
}

// encodePKCS1 is EMSA-PKCS1-v1_5 (RFC 8017 §9.2): at least eight octets of
// padding; nil where the hash does not fit.
func encodePKCS1(h crypto.Hash, sum []byte, size int) []byte {
	prefix := hashPrefix[h]
	pad := size - 3 - len(prefix) - len(sum)
	if pad < 8 {
		return nil
	}
	out := append(make([]byte, 0, size), 0, 1)
	out = append(out, bytes.Repeat([]byte{0xFF}, pad)...)
	return append(append(append(out, 0), prefix...), sum...)
}
