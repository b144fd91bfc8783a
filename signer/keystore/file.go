package keystore

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec/keyfile"
)

// pemType is what the blocks are called.
const pemType = "ONOMA DNSSEC KEY"

// maxFile is more than a key of RSA with 4096 bits takes.
const maxFile = 16 << 10

// file is what a key's file says in clear, and its body.
type file struct {
	id      string
	zone    dns.Name
	key     dns.DNSKEY
	created time.Time
	seal    string // the fingerprint of what it is sealed under; "": nothing
	body    []byte
}

func (f *file) sealed() bool { return f.seal != "" }

// damaged says what is wrong with a file.
func damaged(format string, args ...any) error { return fmt.Errorf(format, args...) }

// encode writes a file around a private half. to nil: in clear.
func (f *file) encode(private crypto.Signer, to *seal, random io.Reader) ([]byte, error) {
	body, err := keyfile.MarshalPKCS8(private)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{
		"Zone":    f.zone.String(),
		"DNSKEY":  f.key.RData().Text(dns.TypeDNSKEY),
		"Created": f.created.UTC().Format(time.RFC3339),
	}
	if to != nil {
		if body, err = to.close(body, f.binding(), random); err != nil {
			return nil, err
		}
		headers["Seal"] = to.print
	}
	var b bytes.Buffer
	err = pem.Encode(&b, &pem.Block{Type: pemType, Headers: headers, Bytes: body})
	return b.Bytes(), err
}

// binding is what a sealed body belongs to: with another id, zone or public key it
// does not open.
func (f *file) binding() []byte {
	b := append([]byte("onoma key 1\x00"+f.id+"\x00"), f.zone.Fold().Wire()...)
	return append(b, f.key.RData()...)
}

// decode reads a file, all but its body.
func decode(id string, text []byte) (*file, error) {
	if len(text) > maxFile {
		return nil, damaged("it is larger than %d octets", maxFile)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, damaged("it does not hold -----BEGIN %s-----", pemType)
	}
	f := &file{id: id, seal: block.Headers["Seal"], body: block.Bytes}
	var err error
	if f.zone, err = dns.ParseName(block.Headers["Zone"]); err != nil {
		return nil, damaged("its Zone is not a name: %v", err)
	}
	rdata, err := dns.ParseRDataString(dns.TypeDNSKEY, block.Headers["DNSKEY"], dns.Root)
	if err != nil {
		return nil, damaged("its DNSKEY is none: %v", err)
	}
	if f.key, err = dns.ParseDNSKEY(rdata); err != nil {
		return nil, damaged("its DNSKEY is none: %v", err)
	}
	if f.created, err = time.Parse(time.RFC3339, block.Headers["Created"]); err != nil {
		return nil, damaged("its Created is no time")
	}
	return f, nil
}

// open returns the private half.
func (f *file) open(seals []seal) (crypto.Signer, error) {
	body := f.body
	if f.sealed() {
		x, found := findSeal(seals, f.seal)
		if !found {
			return nil, f.sealError(seals)
		}
		var err error
		if body, err = x.open(body, f.binding()); err != nil {
			return nil, damaged("its body does not open: it was changed, or stood under another name")
		}
	}
	private, err := keyfile.ParsePKCS8(body)
	if err != nil {
		return nil, damaged("its body is no private key: %v", err)
	}
	return private, nil
}

// sealError says which seal is missing.
func (f *file) sealError(seals []seal) error {
	if len(seals) == 0 {
		return fmt.Errorf("%w: its seal is %s, and none is given: set seal to what holds it (file:PATH, env:NAME or credential:NAME)", ErrSeal, f.seal)
	}
	var given []string
	for _, x := range seals {
		given = append(given, x.print)
	}
	return fmt.Errorf("%w: its seal is %s, and what is given is %s: set seal to the one that it was sealed under", ErrSeal, f.seal, strings.Join(given, ", "))
}

var errShortSeal = errors.New("the sealed body is too short")
