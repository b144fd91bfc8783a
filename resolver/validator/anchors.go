package validator

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// RootAnchors returns the DS records of the root's keys as IANA publishes them:
// KSK-2017, and KSK-2024, which takes over on 11 October 2026.
func RootAnchors() []dns.Record {
	return []dns.Record{
		dns.MustRecord(". 86400 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"),
		dns.MustRecord(". 86400 IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"),
	}
}

// ReadAnchors returns the DS and DNSKEY records of a file in the form of a zone
// file, or the keys of IANA's root-anchors.xml that are valid now (RFC 9718).
func ReadAnchors(path string) (anchors []dns.Record, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the trust anchor: %w", err)
	}
	if text = bytes.TrimPrefix(text, []byte("\ufeff")); bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")) {
		anchors, err = ParseXMLAnchors(text, time.Now())
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	} else {
		anchors, err = parseAnchors(text, path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the trust anchor: %w", err)
	}
	if len(anchors) == 0 {
		return nil, fmt.Errorf("reading the trust anchor: %s has no DS and no DNSKEY record that is valid now, expected one at least", path)
	}
	return anchors, nil
}

func parseAnchors(text []byte, path string) (anchors []dns.Record, err error) {
	all, err := zonefile.NewReader(bytes.NewReader(text), zonefile.Options{File: path, Origin: dns.Root}).ReadAll()
	for _, rec := range all {
		if rec.Type == dns.TypeDS || rec.Type == dns.TypeDNSKEY {
			anchors = append(anchors, rec)
		}
	}
	return anchors, err
}
