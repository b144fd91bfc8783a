package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/cloudflare/circl/sign/ed448"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Private is what a .private file holds.
type Private struct {
	Algorithm uint8
	Signer    crypto.Signer
	Times
	Predecessor, Successor uint16
}

// Key joins the private half with the flags of its DNSKEY record, which a
// .private file does not hold.
func (p *Private) Key(flags uint16) (*dnssec.Key, error) { return NewKey(p.Signer, p.Algorithm, flags) }

// NewKey makes a key of a private half and what the DNSKEY record says beside it.
func NewKey(s crypto.Signer, algorithm uint8, flags uint16) (*dnssec.Key, error) {
	public, err := dnssec.PublicKey(s.Public())
	if err != nil {
		return nil, err
	}
	return dnssec.NewKey(dns.DNSKEY{Flags: flags, Protocol: 3, Algorithm: algorithm, PublicKey: public}, s)
}

// Numbers of an RSA key in .private files, in their order.
var rsaNumbers = []string{"Modulus", "PublicExponent", "PrivateExponent", "Prime1", "Prime2", "Exponent1", "Exponent2", "Coefficient"}

// ParsePrivate reads the text of a .private file; errors name it file.
func ParsePrivate(file string, text []byte) (*Private, error) {
	if len(text) > maxFile {
		return nil, mistake(file, 0, "is larger than %d octets, which no key is", maxFile)
	}
	fs, err := fields(file, string(text), false)
	if err != nil {
		return nil, err
	}
	if len(fs) == 0 || fs[0].name != "Private-key-format" {
		return nil, mistake(file, 1, "'Private-key-format: v1.3' was expected: is this the .private file of a key?")
	}
	if err := checkVersion(file, fs[0]); err != nil {
		return nil, err
	}
	p := &Private{}
	values, err := p.read(file, fs[1:])
	if err != nil {
		return nil, err
	}
	if p.Signer, err = p.signer(file, values); err != nil {
		return nil, err
	}
	return p, nil
}

// checkVersion takes every 1.x: what is added by a minor version may be ignored.
func checkVersion(file string, f field) error {
	minor, isOne := strings.CutPrefix(f.value, "v1.")
	if _, err := strconv.ParseUint(minor, 10, 8); !isOne || err != nil {
		return mistake(file, f.line, "version %q of the format: v1.2 or v1.3 was expected", clip(f.value))
	}
	return nil
}

// value is a number of the key, and the line that it stands in.
type value struct {
	line  int
	bytes []byte
}

// read takes times and the algorithm, and returns the numbers of the key by their
// names. Names that are not known are passed over.
func (p *Private) read(file string, fs []field) (map[string]value, error) {
	values := map[string]value{}
	for _, f := range fs {
		var err error
		switch f.name {
		case "Algorithm":
			p.Algorithm, err = parseAlgorithm(file, f)
		case "Engine", "Label":
			return nil, &Error{file, f.line, fmt.Sprintf("%s: %v (%q); it is used there, by an id that begins with 'pkcs11:'", f.name, ErrToken, clip(f.value)), ErrToken}
		case "Predecessor":
			p.Predecessor, err = f.tag(file)
		case "Successor":
			p.Successor, err = f.tag(file)
		default:
			err = p.readOther(file, f, values)
		}
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (p *Private) readOther(file string, f field, values map[string]value) error {
	for _, known := range timeFields {
		if known.private == f.name {
			t, err := f.time(file)
			*known.at(&p.Times) = t
			return err
		}
	}
	isNumber := f.name == "PrivateKey"
	for _, name := range rsaNumbers {
		isNumber = isNumber || name == f.name
	}
	if !isNumber {
		return nil
	}
	if _, again := values[f.name]; again {
		return mistake(file, f.line, "%s stands here a second time", f.name)
	}
	b, err := base64.StdEncoding.DecodeString(f.value)
	if err != nil || len(b) == 0 {
		return mistake(file, f.line, "%s: base64 was expected", f.name)
	}
	values[f.name] = value{f.line, b}
	return nil
}

// parseAlgorithm reads '13 (ECDSAP256SHA256)'; the number counts.
func parseAlgorithm(file string, f field) (uint8, error) {
	number, _, _ := strings.Cut(f.value, " ")
	a, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		return 0, mistake(file, f.line, "algorithm %q: a number such as 13 was expected", clip(f.value))
	}
	return uint8(a), nil
}

func (p *Private) signer(file string, values map[string]value) (crypto.Signer, error) {
	switch p.Algorithm {
	case dnssec.RSASHA1, dnssec.RSASHA1NSEC3SHA1, dnssec.RSASHA256, dnssec.RSASHA512:
		return parseRSA(file, values)
	}
	v, found := values["PrivateKey"]
	if !found {
		return nil, mistake(file, 0, "PrivateKey is missing, which a key of algorithm %s has", algorithmText(p.Algorithm))
	}
	s, err := NewSigner(p.Algorithm, v.bytes)
	if err != nil {
		return nil, mistake(file, v.line, "PrivateKey: %v", err)
	}
	return s, nil
}

// NewSigner makes a private key of the secret number or seed of an algorithm with
// elliptic curves (RFC 6605, RFC 8032 §5.1.5 and §5.2.5).
func NewSigner(algorithm uint8, secret []byte) (crypto.Signer, error) {
	switch algorithm {
	case dnssec.ECDSAP256SHA256:
		return newECDSA(elliptic.P256(), secret)
	case dnssec.ECDSAP384SHA384:
		return newECDSA(elliptic.P384(), secret)
	case dnssec.ED25519:
		if len(secret) == ed25519.SeedSize {
			return ed25519.NewKeyFromSeed(secret), nil
		}
		return nil, fmt.Errorf("has %d octets; %d were expected", len(secret), ed25519.SeedSize)
	case dnssec.ED448:
		if len(secret) == ed448.SeedSize {
			return ed448.NewKeyFromSeed(secret), nil
		}
		return nil, fmt.Errorf("has %d octets; %d were expected", len(secret), ed448.SeedSize)
	}
	return nil, fmt.Errorf("%w: %d", dnssec.ErrAlgorithm, algorithm)
}

// newECDSA takes a number that may have lost its leading zeros, which some
// programs drop.
func newECDSA(curve elliptic.Curve, secret []byte) (crypto.Signer, error) {
	size := curve.Params().BitSize / 8
	if len(secret) > size {
		return nil, fmt.Errorf("has %d octets; at most %d were expected", len(secret), size)
	}
	full := make([]byte, size)
	copy(full[size-len(secret):], secret)
	k, err := ecdsa.ParseRawPrivateKey(curve, full)
	if err != nil {
		return nil, fmt.Errorf("is no private key of %s", curve.Params().Name)
	}
	return k, nil
}

// parseRSA makes the key of its modulus, exponents and primes; the other numbers
// follow from them.
func parseRSA(file string, values map[string]value) (crypto.Signer, error) {
	number := func(name string) *big.Int { return new(big.Int).SetBytes(values[name].bytes) }
	for _, name := range rsaNumbers[:5] {
		v, found := values[name]
		switch {
		case !found:
			return nil, mistake(file, 0, "%s is missing, which an RSA key has", name)
		case len(v.bytes) > maxRSA/8:
			return nil, mistake(file, v.line, "%s has %d bits; at most %d were expected", name, 8*len(v.bytes), maxRSA)
		}
	}
	e := number("PublicExponent")
	if e.BitLen() > 31 {
		return nil, mistake(file, values["PublicExponent"].line, "PublicExponent has %d bits; keys that sign here have at most 31 (65537 is usual): use a key that is made anew", e.BitLen())
	}
	k := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number("Modulus"), E: int(e.Int64())},
		D:         number("PrivateExponent"),
		Primes:    []*big.Int{number("Prime1"), number("Prime2")},
	}
	return settleRSA(file, values["Modulus"].line, k)
}

// settleRSA checks that the numbers belong together and readies the key.
func settleRSA(file string, line int, k *rsa.PrivateKey) (crypto.Signer, error) {
	if bits := k.N.BitLen(); bits < 1024 || bits > maxRSA {
		return nil, mistake(file, line, "RSA of %d bits; from 1024 to %d were expected", bits, maxRSA)
	}
	k.Precompute()
	if err := k.Validate(); err != nil {
		return nil, mistake(file, line, "the numbers of the RSA key do not belong together: %v", err)
	}
	return k, nil
}

// AppendPrivate appends the text of a .private file.
func AppendPrivate(dst []byte, p *Private) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	fmt.Fprintf(b, "Private-key-format: v1.3\nAlgorithm: %s\n", algorithmText(p.Algorithm))
	if err := writeNumbers(b, p.Signer); err != nil {
		return dst, err
	}
	times := p.settle()
	for _, f := range timeFields {
		if t := *f.at(&times); f.private != "" && !t.IsZero() {
			fmt.Fprintf(b, "%s: %s\n", f.private, timeText(t))
		}
	}
	if p.Predecessor != 0 {
		fmt.Fprintf(b, "Predecessor: %d\n", p.Predecessor)
	}
	if p.Successor != 0 {
		fmt.Fprintf(b, "Successor: %d\n", p.Successor)
	}
	return b.Bytes(), nil
}

func writeNumbers(b *bytes.Buffer, s crypto.Signer) error {
	if k, isRSA := s.(*rsa.PrivateKey); isRSA {
		return writeRSA(b, k)
	}
	secret, err := Secret(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "PrivateKey: %s\n", base64.StdEncoding.EncodeToString(secret))
	return nil
}

// Secret is the reverse of NewSigner.
func Secret(s crypto.Signer) ([]byte, error) {
	switch k := s.(type) {
	case *ecdsa.PrivateKey:
		return k.Bytes()
	case ed25519.PrivateKey:
		return k.Seed(), nil
	case ed448.PrivateKey:
		return k.Seed(), nil
	}
	return nil, fmt.Errorf("%w: a private key of type %T cannot be written", ErrToken, s)
}

func writeRSA(b *bytes.Buffer, k *rsa.PrivateKey) error {
	if len(k.Primes) != 2 {
		return fmt.Errorf("an RSA key of %d primes cannot be written: two were expected", len(k.Primes))
	}
	k.Precompute()
	numbers := []*big.Int{k.N, big.NewInt(int64(k.E)), k.D, k.Primes[0], k.Primes[1], k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv}
	for i, n := range numbers {
		fmt.Fprintf(b, "%s: %s\n", rsaNumbers[i], base64.StdEncoding.EncodeToString(n.Bytes()))
	}
	return nil
}
