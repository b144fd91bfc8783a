//go:build cgo

package main

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"

	"onoma/signer/keystore/token"
)

// What PKCS #11 3.0 has and the binding does not name.
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEDDSA               = 0x1057
)

// curve is how a token names one.
type curve struct {
	kind   token.Kind
	params []byte // CKA_EC_PARAMS
	size   int    // octets of the public key in DNSKEY records
}

func oid(numbers ...int) []byte {
	b, err := asn1.Marshal(asn1.ObjectIdentifier(numbers))
	if err != nil {
		panic(err) // they are ours
	}
	return b
}

var curves = []curve{
	{token.P256, oid(1, 2, 840, 10045, 3, 1, 7), 64},
	{token.P384, oid(1, 3, 132, 0, 34), 96},
	{token.Ed25519, oid(1, 3, 101, 112), 32},
	{token.Ed448, oid(1, 3, 101, 113), 57},
	{token.Ed25519, []byte("\x13\x0cedwards25519"), 32}, // PKCS #11 3.0 §2.3.10 allows both
	{token.Ed448, []byte("\x13\x0aedwards448"), 57},
}

func curveOf(kind token.Kind) (curve, bool) {
	i := slices.IndexFunc(curves, func(c curve) bool { return c.kind == kind })
	if i < 0 {
		return curve{}, false
	}
	return curves[i], true
}

// name is what asks for a key: its label, or "id=" and its CKA_ID in hex.
func name(label string) (*pkcs11.Attribute, error) {
	text, isID := strings.CutPrefix(label, "id=")
	if !isID {
		return pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), nil
	}
	id, err := hex.DecodeString(text)
	if err != nil || len(id) == 0 {
		return nil, fmt.Errorf("%w: %q: id= and hex digits were expected", token.ErrDenied, label)
	}
	return pkcs11.NewAttribute(pkcs11.CKA_ID, id), nil
}

// object finds the one key of a class with that name.
func (d *device) object(s pkcs11.SessionHandle, class uint, label string) (pkcs11.ObjectHandle, error) {
	which, err := name(label)
	if err != nil {
		return 0, err
	}
	found, err := d.objects(s, 2, pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), which)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, fmt.Errorf("%w: %q in %q", token.ErrNoKey, label, d.label)
	case len(found) > 1:
		return 0, fmt.Errorf("%w: several keys in %q have the name %q: name the one by id=HEX", token.ErrDenied, d.label, label)
	}
	return found[0], nil
}

func (d *device) objects(s pkcs11.SessionHandle, most int, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := d.lib.FindObjectsInit(s, template); err != nil {
		return nil, err
	}
	var found []pkcs11.ObjectHandle
	for len(found) < most {
		some, _, err := d.lib.FindObjects(s, min(64, most-len(found)))
		if err != nil {
			d.lib.FindObjectsFinal(s)
			return nil, err
		}
		if len(some) == 0 {
			break
		}
		found = append(found, some...)
	}
	return found, d.lib.FindObjectsFinal(s)
}

// maxKeys bounds what List looks at.
const maxKeys = 100_000

// List returns labels of private keys, in order.
func (d *device) List(after string, most int) (labels []string, err error) {
	err = d.do("listing keys", func(s pkcs11.SessionHandle) error {
		found, err := d.objects(s, maxKeys, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
		if err != nil {
			return err
		}
		labels = labels[:0]
		for _, o := range found {
			a, err := d.lib.GetAttributeValue(s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil)})
			if err == nil && string(a[0].Value) > after {
				labels = append(labels, string(a[0].Value))
			}
		}
		return nil
	})
	slices.Sort(labels)
	labels = slices.Compact(labels)
	return labels[:min(len(labels), most)], err
}

// Public reads the public half.
func (d *device) Public(label string) (kind token.Kind, public []byte, err error) {
	err = d.do("reading a public key", func(s pkcs11.SessionHandle) error {
		o, err := d.object(s, pkcs11.CKO_PUBLIC_KEY, label)
		if err != nil {
			return err
		}
		if _, err := d.object(s, pkcs11.CKO_PRIVATE_KEY, label); err != nil {
			return err
		}
		a, err := d.lib.GetAttributeValue(s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, nil)})
		if err != nil {
			return err
		}
		if keyType(a[0].Value) == pkcs11.CKK_RSA {
			kind, public, err = d.publicRSA(s, o)
		} else {
			kind, public, err = d.publicCurve(s, o)
		}
		return err
	})
	return kind, public, err
}

// keyType reads a CK_ULONG of this machine; types are small.
func keyType(b []byte) uint {
	if len(b) == 0 {
		return 0
	}
	return uint(max(b[0], b[len(b)-1])) // either end has the low octet
}

func (d *device) publicRSA(s pkcs11.SessionHandle, o pkcs11.ObjectHandle) (token.Kind, []byte, error) {
	a, err := d.lib.GetAttributeValue(s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, nil), pkcs11.NewAttribute(pkcs11.CKA_MODULUS, nil)})
	if err != nil {
		return "", nil, err
	}
	e, n := bytes.TrimLeft(a[0].Value, "\x00"), bytes.TrimLeft(a[1].Value, "\x00")
	if len(e) == 0 || len(e) > 4 {
		return "", nil, fmt.Errorf("%w: an RSA key whose exponent has %d octets", token.ErrDenied, len(e))
	}
	return token.RSA, slices.Concat([]byte{byte(len(e))}, e, n), nil
}

func (d *device) publicCurve(s pkcs11.SessionHandle, o pkcs11.ObjectHandle) (token.Kind, []byte, error) {
	a, err := d.lib.GetAttributeValue(s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, nil), pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil {
		return "", nil, err
	}
	for _, c := range curves {
		if !bytes.Equal(c.params, a[0].Value) {
			continue
		}
		point := a[1].Value
		var inner []byte // in an OCTET STRING, which some tokens leave out
		if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
			point = inner
		}
		if len(point) == c.size+1 && point[0] == 4 { // uncompressed
			point = point[1:]
		}
		if len(point) != c.size {
			return "", nil, fmt.Errorf("%w: a public key of %d octets; %d were expected", token.ErrDenied, len(point), c.size)
		}
		return c.kind, point, nil
	}
	return "", nil, fmt.Errorf("%w: a key on a curve that DNSSEC has not (%x)", token.ErrDenied, a[0].Value)
}
