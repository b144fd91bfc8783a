//go:build cgo

package main

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"

	"onoma/signer/keystore/token"
)

// digestInfo stands before a digest that is signed by PKCS #1 v1.5 (RFC 8017 §9.2,
// note 1).
var digestInfo = map[crypto.Hash]string{
	crypto.SHA256: "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
	crypto.SHA384: "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
	crypto.SHA512: "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
}

// Sign signs. The kind of key follows from the token's own record of it.
func (d *device) Sign(label string, hash crypto.Hash, data []byte) (signature []byte, err error) {
	err = d.do("signing", func(s pkcs11.SessionHandle) error {
		k, err := d.key(s, label)
		if err != nil {
			return err
		}
		mechanism, input := uint(pkcs11.CKM_ECDSA), data
		switch kind := k.kind; {
		case kind == pkcs11.CKK_RSA && hash != 0:
			mechanism, input = pkcs11.CKM_RSA_PKCS, append([]byte(digestInfo[hash]), data...)
		case kind == ckkECEdwards && hash == 0:
			mechanism = ckmEDDSA
		case kind != pkcs11.CKK_EC || hash == 0:
			return fmt.Errorf("%w: a key of type %d does not sign digests by %v", token.ErrDenied, kind, hash)
		}
		if err := d.lib.SignInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, k.object); err != nil {
			return err
		}
		signature, err = d.lib.Sign(s, input)
		return err
	})
	return signature, err
}

// maxKnown bounds the keys that are remembered.
const maxKnown = 10_000

// key finds a private key, which is the same until the next login: its object is no
// longer valid if it is gone, and then do logs in anew.
func (d *device) key(s pkcs11.SessionHandle, label string) (key, error) {
	d.keysMu.Lock()
	k, known := d.keys[label]
	d.keysMu.Unlock()
	if known {
		return k, nil
	}
	o, err := d.object(s, pkcs11.CKO_PRIVATE_KEY, label)
	if err != nil {
		return key{}, err
	}
	a, err := d.lib.GetAttributeValue(s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, nil)})
	if err != nil {
		return key{}, err
	}
	k = key{o, keyType(a[0].Value)}
	d.keysMu.Lock()
	defer d.keysMu.Unlock()
	if len(d.keys) >= maxKnown {
		clear(d.keys)
	}
	d.keys[label] = k
	return k, nil
}

// Generate makes a key that never leaves the token.
func (d *device) Generate(label string, kind token.Kind, bits int) error {
	if strings.HasPrefix(label, "id=") {
		return fmt.Errorf("%w: a label that begins with id= would name another key", token.ErrDenied)
	}
	mechanism, public, err := pairTemplate(kind, bits)
	if err != nil {
		return err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	both := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	public = append(append(public, both...), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	private := append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
	}, both...)
	return d.do("generating a key", func(s pkcs11.SessionHandle) error {
		there, err := d.objects(s, 1, pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return fmt.Errorf("%w: %q is there already", token.ErrDenied, label)
		}
		_, _, err = d.lib.GenerateKeyPair(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
		if is(err, pkcs11.CKR_MECHANISM_INVALID) {
			return fmt.Errorf("%w: the token cannot make keys of kind %s: take another algorithm, such as ECDSAP256SHA256", token.ErrDenied, kind)
		}
		return err
	})
}

func pairTemplate(kind token.Kind, bits int) (mechanism uint, public []*pkcs11.Attribute, err error) {
	if kind == token.RSA {
		if bits < 1024 || bits%8 != 0 {
			return 0, nil, fmt.Errorf("%w: RSA of %d bits; 2048 is usual", token.ErrDenied, bits)
		}
		return pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, bits),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}, nil
	}
	c, known := curveOf(kind)
	if !known {
		return 0, nil, fmt.Errorf("%w: no key is of kind %q", token.ErrDenied, kind)
	}
	mechanism = pkcs11.CKM_EC_KEY_PAIR_GEN
	if kind == token.Ed25519 || kind == token.Ed448 {
		mechanism = ckmECEdwardsKeyPairGen
	}
	return mechanism, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, c.params)}, nil
}
