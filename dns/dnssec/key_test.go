package dnssec

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestOldAlgorithmsAreNotMade(t *testing.T) {
	for _, a := range []uint8{RSASHA1, RSASHA1NSEC3SHA1} {
		if _, err := GenerateKey(nil, a, 2048, 256); !errors.Is(err, ErrAlgorithm) || !strings.Contains(err.Error(), "RFC 9905") {
			t.Errorf("%s: %v, expected a refusal that says why", AlgorithmName(a), err)
		}
		if !CanVerify(a) || CanSign(a) {
			t.Errorf("%s is verified and not made", AlgorithmName(a))
		}
	}
}

func TestKeySizes(t *testing.T) {
	for _, c := range []struct {
		algorithm uint8
		bits      int
	}{{ECDSAP256SHA256, 384}, {RSASHA256, 512}, {RSASHA256, 8192}, {ED25519, 255}, {99, 0}} {
		if _, err := GenerateKey(nil, c.algorithm, c.bits, 256); err == nil {
			t.Errorf("algorithm %d has a key of %d bits", c.algorithm, c.bits)
		}
	}
}

// Keys are a function of the randomness that they are made from, RSA apart.
func TestGeneratedFromRandomness(t *testing.T) {
	for _, a := range []uint8{ECDSAP256SHA256, ECDSAP384SHA384, ED25519, ED448} {
		var made [2]*Key
		for i := range made {
			k, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), a, 0, 257)
			if err != nil {
				t.Fatal(err)
			}
			made[i] = k
		}
		if !bytes.Equal(made[0].RData(), made[1].RData()) {
			t.Errorf("%s: two keys of one seed differ", AlgorithmName(a))
		}
	}
}

func TestKeysThatDoNotBelongTogether(t *testing.T) {
	a, err1 := GenerateKey(nil, ECDSAP256SHA256, 0, 256)
	b, err2 := GenerateKey(nil, ECDSAP256SHA256, 0, 256)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(a.DNSKEY(), b.Private()); !errors.Is(err, ErrKey) {
		t.Errorf("a key with another one's private half: %v", err)
	}
	other := a.DNSKEY()
	other.Algorithm = ED25519
	if _, err := NewKey(other, a.Private()); !errors.Is(err, ErrKey) {
		t.Errorf("ED25519 with a private key of P-256: %v", err)
	}
	if k, err := NewKey(a.DNSKEY(), a.Private()); err != nil || k.Tag() != a.Tag() || k.IsSlow() {
		t.Errorf("a key and its own private half: %v", err)
	}
}

// elsewhere is a key in another process: nothing but crypto.Signer.
type elsewhere struct{ crypto.Signer }

func TestKeysElsewhere(t *testing.T) {
	for _, k := range generated(t) {
		remote, err := NewKey(k.DNSKEY(), elsewhere{k.Private()})
		if err != nil {
			t.Fatal(err)
		}
		if !remote.IsSlow() {
			t.Errorf("%s elsewhere is not slow", AlgorithmName(k.Algorithm()))
		}
		sig, err := remote.Sign([]byte("before"), []byte("data"))
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(k.Algorithm(), k.DNSKEY().PublicKey, []byte("data"), sig[len("before"):]); err != nil {
			t.Errorf("%s: %v", AlgorithmName(k.Algorithm()), err)
		}
	}
}

func TestAlgorithmNames(t *testing.T) {
	for a := range algorithms {
		for _, s := range []string{AlgorithmName(a), strings.ToLower(AlgorithmName(a))} {
			if got, err := ParseAlgorithm(s); err != nil || got != a {
				t.Errorf("%q is %d (%v), expected %d", s, got, err, a)
			}
		}
	}
	if a, err := ParseAlgorithm("13"); err != nil || a != ECDSAP256SHA256 {
		t.Errorf(`"13" is %d (%v)`, a, err)
	}
	for _, s := range []string{"", "0", "255", "256", "-1", "ecdsa", "DELETE"} {
		if a, err := ParseAlgorithm(s); err == nil {
			t.Errorf("%q is algorithm %d", s, a)
		}
	}
}

// rsaWith makes a key with that exponent, and the private exponent to it.
func rsaWith(t testing.TB, bits int, e *big.Int) (key []byte, n, d *big.Int) {
	t.Helper()
	one := big.NewInt(1)
	for {
		p, err1 := rand.Prime(rand.Reader, bits/2)
		q, err2 := rand.Prime(rand.Reader, bits/2)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if d = new(big.Int).ModInverse(e, phi); d != nil && p.Cmp(q) != 0 {
			n = new(big.Int).Mul(p, q)
			break
		}
	}
	eb := e.Bytes()
	if len(eb) < 256 {
		key = append(key, byte(len(eb)))
	} else {
		key = append(key, 0, byte(len(eb)>>8), byte(len(eb)))
	}
	return append(append(key, eb...), n.Bytes()...), n, d
}

// Exponents above 2^31-1 are in use (2^32+1), and RFC 3110 allows long ones.
func TestRSAExponents(t *testing.T) {
	data := []byte("data")
	sum := sha256.Sum256(data)
	for _, shift := range []uint{1, 16, 32, 63, 64, 200, 511} {
		e := new(big.Int).SetBit(big.NewInt(1), int(shift), 1)
		key, n, d := rsaWith(t, 768, e)
		size := (n.BitLen() + 7) / 8
		em := new(big.Int).SetBytes(encodePKCS1(crypto.SHA256, sum[:], size))
		sig := em.Exp(em, d, n).FillBytes(make([]byte, size))
		if err := Verify(RSASHA256, key, data, sig); err != nil {
			t.Errorf("exponent 2^%d+1: %v", shift, err)
		}
		if err := Verify(RSASHA256, key, []byte("date"), sig); !errors.Is(err, ErrSignature) {
			t.Errorf("exponent 2^%d+1, other data: %v", shift, err)
		}
		if err := Verify(RSASHA256, key, data, append([]byte{0}, sig...)); !errors.Is(err, ErrSignature) {
			t.Errorf("exponent 2^%d+1, an octet more: %v", shift, err)
		}
	}
}

// Our own arithmetic and that of crypto/rsa agree.
func TestRSAAgreesWithTheLibrary(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA512} {
		sum := digest(h, []byte{byte(i)})
		sig, err := rsa.SignPKCS1v15(nil, private, h, sum)
		if err != nil {
			t.Fatal(err)
		}
		k := rsaKey{n: private.N, e: big.NewInt(int64(private.E))}
		if err := k.verify(h, sum, sig); err != nil {
			t.Errorf("%v: %v", h, err)
		}
		sum[0] ^= 1
		if err := k.verify(h, sum, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%v, other data: %v", h, err)
		}
	}
}

// The work of one verification has an end, whatever a key says.
func TestRSAWorkIsBounded(t *testing.T) {
	number := func(bits int) []byte {
		return new(big.Int).SetBit(new(big.Int).SetBit(big.NewInt(1), bits-1, 1), bits/2, 1).Bytes()
	}
	key := func(ebits, nbits int) []byte {
		e := number(ebits)
		return append(append([]byte{0, byte(len(e) >> 8), byte(len(e))}, e...), number(nbits)...)
	}
	for _, c := range []struct {
		ebits, nbits int
		ok           bool
	}{
		{256, 4096, true}, {264, 4096, false}, {1024, 2048, true}, {1032, 2048, false}, {2048, 1024, true},
		{4096, 4096, false}, {17, 4104, false}, {17, 504, false}, {8192, 512, false},
	} {
		start := time.Now()
		err := Verify(RSASHA256, key(c.ebits, c.nbits), nil, make([]byte, c.nbits/8))
		if errors.Is(err, ErrKey) == c.ok {
			t.Errorf("exponent of %d bits, modulus of %d: %v", c.ebits, c.nbits, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("exponent of %d bits, modulus of %d: took %v", c.ebits, c.nbits, d)
		}
	}
}

func TestECDSAForms(t *testing.T) {
	// Numbers with zeros before them and with a first bit, of either size.
	for _, size := range []int{32, 48} {
		pair := make([]byte, 2*size)
		pair[size-1], pair[size] = 1, 0xFF
		der := appendECDSASignature(nil, pair)
		back, ok := appendECDSAPair(nil, der, size)
		if !ok || !bytes.Equal(back, pair) {
			t.Errorf("%x comes back as %x", pair, back)
		}
	}
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	sum := sha256.Sum256(nil)
	der, _ := ecdsa.SignASN1(rand.Reader, k, sum[:])
	for n := range der {
		if out, ok := appendECDSAPair(nil, der[:n], 32); ok {
			t.Errorf("%d octets of a signature are %x", n, out)
		}
	}
}
