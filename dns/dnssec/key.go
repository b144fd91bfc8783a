package dnssec

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cloudflare/circl/sign/ed448"

	"onoma/dns"
)

// Key is a DNSKEY together with its private half. It does not change; any
// goroutine may sign with it.
type Key struct {
	dnskey  dns.DNSKEY
	rdata   dns.RData
	tag     uint16
	private crypto.Signer
	slow    bool
}

// errPair says that a private key is another one's.
var errPair = errors.New("private key does not belong to the public key")

// NewKey joins a DNSKEY and the private key that it belongs to; private may live
// elsewhere, in a token or another process. Errors are ErrKey and ErrAlgorithm.
func NewKey(k dns.DNSKEY, private crypto.Signer) (*Key, error) {
	if !CanSign(k.Algorithm) {
		return nil, refuse(k.Algorithm)
	}
	public, err := PublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	if !fits(k.Algorithm, private.Public()) {
		return nil, fmt.Errorf("%w: algorithm %s has no %T", ErrKey, AlgorithmName(k.Algorithm), private.Public())
	}
	if !bytes.Equal(public, k.PublicKey) && !sameRSA(public, k.PublicKey, k.Algorithm) {
		return nil, fmt.Errorf("%w: %w", ErrKey, errPair)
	}
	k.PublicKey = slices.Clone(k.PublicKey)
	rdata := k.RData()
	return &Key{dnskey: k, rdata: rdata, tag: dns.KeyTag(rdata), private: private, slow: isSlow(private)}, nil
}

// sameRSA compares keys whose numbers are written with zeros before them.
func sameRSA(a, b []byte, algorithm uint8) bool {
	if algorithms[algorithm].bits != 0 {
		return false
	}
	x, err1 := parseRSA(a)
	y, err2 := parseRSA(b)
	return err1 == nil && err2 == nil && x.n.Cmp(y.n) == 0 && x.e.Cmp(y.e) == 0
}

// fits reports whether a public key is one of the algorithm.
func fits(algorithm uint8, public crypto.PublicKey) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() && algorithm == ECDSAP256SHA256 || k.Curve == elliptic.P384() && algorithm == ECDSAP384SHA384
	case *rsa.PublicKey:
		return algorithms[algorithm].bits == 0
	case ed25519.PublicKey:
		return algorithm == ED25519
	case ed448.PublicKey:
		return algorithm == ED448
	}
	return false
}

// isSlow: a signature of RSA takes a millisecond, and so does one that another
// process makes; Ed448 is a matter of a few hundred microseconds.
func isSlow(private crypto.Signer) bool {
	switch private.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey, ed448.PrivateKey:
		return false
	}
	return true
}

func refuse(algorithm uint8) error {
	if CanVerify(algorithm) {
		return fmt.Errorf("%w: %s is verified, but nothing new is signed with SHA-1 (RFC 9905); take ECDSAP256SHA256", ErrAlgorithm, AlgorithmName(algorithm))
	}
	return fmt.Errorf("%w: %d; take ECDSAP256SHA256", ErrAlgorithm, algorithm)
}

// GenerateKey makes a key pair. bits is the size of RSA keys, 2048 where it is 0,
// and 0 or the algorithm's own size for others. random nil is the system's; all
// but RSA are a function of what it gives.
func GenerateKey(random io.Reader, algorithm uint8, bits int, flags uint16) (*Key, error) {
	if !CanSign(algorithm) {
		return nil, refuse(algorithm)
	}
	if own := algorithms[algorithm].bits; own != 0 && bits != 0 && bits != own {
		return nil, fmt.Errorf("%w: keys of %s have %d bits, not %d; leave the size out", ErrKey, AlgorithmName(algorithm), own, bits)
	}
	if random == nil {
		random = rand.Reader
	}
	private, err := generate(random, algorithm, bits)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	public, err := PublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	return NewKey(dns.DNSKEY{Flags: flags, Protocol: 3, Algorithm: algorithm, PublicKey: public}, private)
}

func generate(random io.Reader, algorithm uint8, bits int) (crypto.Signer, error) {
	switch algorithm {
	case ECDSAP256SHA256:
		return generateECDSA(random, elliptic.P256())
	case ECDSAP384SHA384:
		return generateECDSA(random, elliptic.P384())
	case ED25519:
		seed, err := readSeed(random, ed25519.SeedSize)
		if err != nil {
			return nil, err
		}
		return ed25519.NewKeyFromSeed(seed), nil
	case ED448:
		seed, err := readSeed(random, ed448.SeedSize)
		if err != nil {
			return nil, err
		}
		return ed448.NewKeyFromSeed(seed), nil
	}
	if bits == 0 {
		bits = 2048
	}
	if bits < minNewRSA || bits > maxRSA {
		return nil, fmt.Errorf("%w: RSA of %d bits, expected %d to %d", ErrKey, bits, minNewRSA, maxRSA)
	}
	return rsa.GenerateKey(random, bits)
}

func readSeed(random io.Reader, n int) ([]byte, error) {
	seed := make([]byte, n)
	_, err := io.ReadFull(random, seed)
	return seed, err
}

// generateECDSA draws numbers until one is a private key (FIPS 186-5 A.2.2): the
// orders of both curves are so near to a power of two that it is the first.
func generateECDSA(random io.Reader, curve elliptic.Curve) (crypto.Signer, error) {
	for range 64 {
		d, err := readSeed(random, curve.Params().BitSize/8)
		if err != nil {
			return nil, err
		}
		if k, err := ecdsa.ParseRawPrivateKey(curve, d); err == nil {
			return k, nil
		}
	}
	return nil, errors.New("the source of randomness gives no numbers that can be keys")
}

// DNSKEY returns the public record; the caller does not change its octets.
func (k *Key) DNSKEY() dns.DNSKEY { return k.dnskey }

// RData returns the rdata of the public record; the caller does not change it.
func (k *Key) RData() dns.RData { return k.rdata }

// Tag returns the key's tag.
func (k *Key) Tag() uint16 { return k.tag }

// Algorithm returns the number of the key's algorithm.
func (k *Key) Algorithm() uint8 { return k.dnskey.Algorithm }

// Private returns the private half.
func (k *Key) Private() crypto.Signer { return k.private }

// IsSlow reports whether a signature takes long, so that the key is nothing for
// where one must be quick: RSA, or a key that is not in this process.
func (k *Key) IsSlow() bool { return k.slow }

// Sign appends the signature of data, in the form of RRSIG. Keys in this process
// sign deterministically: RFC 6979 for ECDSA, the others by their nature.
func (k *Key) Sign(dst, data []byte) ([]byte, error) {
	return appendSignature(dst, k.dnskey.Algorithm, k.private, data)
}

// randomFor: Go's own ECDSA keys are deterministic without a source of
// randomness. Others may need one.
func randomFor(key crypto.Signer) io.Reader {
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return nil
	}
	return rand.Reader
}

// sumInto hashes without allocating, and returns the length of the hash.
func sumInto(h crypto.Hash, sum *[64]byte, data []byte) int {
	switch h {
	case crypto.SHA256:
		s := sha256.Sum256(data)
		return copy(sum[:], s[:])
	case crypto.SHA384:
		s := sha512.Sum384(data)
		return copy(sum[:], s[:])
	case crypto.SHA512:
		s := sha512.Sum512(data)
		return copy(sum[:], s[:])
	}
	return copy(sum[:], digest(h, data))
}
