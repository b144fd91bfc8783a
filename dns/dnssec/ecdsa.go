package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
)

// maxECDSA is the size of the largest number of a curve that is known here.
const maxECDSA = 48

// verifyECDSA: keys and signatures are two numbers of the curve's size each
// (RFC 6605 §4).
func verifyECDSA(curve elliptic.Curve, h crypto.Hash, key, data, signature []byte) error {
	size := curve.Params().BitSize / 8
	if len(key) != 2*size {
		return ErrKey
	}
	var point [1 + 2*maxECDSA]byte
	point[0] = 4 // uncompressed (SEC 1 §2.3.3)
	k, err := ecdsa.ParseUncompressedPublicKey(curve, point[:1+copy(point[1:], key)])
	if err != nil {
		return ErrKey
	}
	if len(signature) != 2*size {
		return ErrSignature
	}
	der := appendECDSASignature(make([]byte, 0, 2*maxECDSA+9), signature)
	if !ecdsa.VerifyASN1(k, digest(h, data), der) {
		return ErrSignature
	}
	return nil
}

// appendECDSASignature appends the ASN.1 form of two numbers of equal size: Go
// speaks no other. Below 128 octets all lengths are one octet.
func appendECDSASignature(dst, pair []byte) []byte {
	dst = append(dst, 0x30, 0)
	start := len(dst)
	for _, n := range [...][]byte{pair[:len(pair)/2], pair[len(pair)/2:]} {
		for len(n) > 1 && n[0] == 0 {
			n = n[1:]
		}
		if n[0] >= 0x80 { // numbers have a sign
			dst = append(append(dst, 2, byte(len(n)+1), 0), n...)
		} else {
			dst = append(append(dst, 2, byte(len(n))), n...)
		}
	}
	dst[start-1] = byte(len(dst) - start)
	return dst
}

// appendECDSAPair appends the two numbers of an ASN.1 signature, each in size
// octets.
func appendECDSAPair(dst, der []byte, size int) ([]byte, bool) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return dst, false
	}
	rest := der[2:]
	for range 2 {
		if len(rest) < 2 || rest[0] != 2 || int(rest[1]) > len(rest)-2 {
			return dst, false
		}
		n := rest[2 : 2+rest[1]]
		rest = rest[2+rest[1]:]
		for len(n) > 0 && n[0] == 0 {
			n = n[1:]
		}
		if len(n) > size {
			return dst, false
		}
		for range size - len(n) {
			dst = append(dst, 0)
		}
		dst = append(dst, n...)
	}
	return dst, len(rest) == 0
}
