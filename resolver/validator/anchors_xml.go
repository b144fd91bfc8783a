package validator

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"onoma/dns"
)

// maxAnchorFile bounds a file of anchors, of either form.
const maxAnchorFile = 1 << 20

// rootAnchors is IANA's root-anchors.xml (RFC 7958 §2.1, RFC 9718 §2.1).
type rootAnchors struct {
	XMLName xml.Name    `xml:"TrustAnchor"`
	Zone    string      `xml:"Zone"`
	Digests []keyDigest `xml:"KeyDigest"`
}

type keyDigest struct {
	ValidFrom  string `xml:"validFrom,attr"`
	ValidUntil string `xml:"validUntil,attr"`
	KeyTag     uint16 `xml:"KeyTag"`
	Algorithm  uint8  `xml:"Algorithm"`
	DigestType uint8  `xml:"DigestType"`
	Digest     string `xml:"Digest"`
}

// ParseXMLAnchors reads trust anchors in the XML form that IANA publishes, those
// that are valid at now (RFC 9718 §2.1.3). The signature over the file is for
// whoever fetches it to check.
func ParseXMLAnchors(text []byte, now time.Time) (anchors []dns.Record, err error) {
	if len(text) > maxAnchorFile {
		return nil, fmt.Errorf("%d octets, expected %d at most", len(text), maxAnchorFile)
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	var all rootAnchors
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("line %d: %w", line(d), err)
	}
	if rest := text[d.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("line %d: more than one TrustAnchor element", line(d))
	}
	zone, err := dns.ParseName(strings.TrimSpace(all.Zone))
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", all.Zone, err)
	}
	for i := range all.Digests {
		k := &all.Digests[i]
		isValid, err := k.isValid(now)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", k.KeyTag, err)
		}
		digest, err := hex.DecodeString(strings.Join(strings.Fields(k.Digest), ""))
		if err != nil || len(digest) == 0 || len(digest) > 64 {
			return nil, fmt.Errorf("key %d: digest %q, expected hexadecimal digits", k.KeyTag, k.Digest)
		}
		if isValid {
			ds := dns.DS{KeyTag: k.KeyTag, Algorithm: k.Algorithm, DigestType: k.DigestType, Digest: digest}
			anchors = append(anchors, dns.Record{Name: zone, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 86400, Data: ds.RData()})
		}
	}
	return anchors, nil
}

func line(d *xml.Decoder) int {
	n, _ := d.InputPos()
	return n
}

// isValid compares the time with the key's; an attribute that is missing is no
// limit at that end.
func (k *keyDigest) isValid(now time.Time) (bool, error) {
	from, err := instant("validFrom", k.ValidFrom)
	if err != nil {
		return false, err
	}
	until, err := instant("validUntil", k.ValidUntil)
	return !now.Before(from) && (until.IsZero() || now.Before(until)), err
}

func instant(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%s %q, expected a time as in 2017-02-02T00:00:00+00:00", name, text)
	}
	return t, nil
}
