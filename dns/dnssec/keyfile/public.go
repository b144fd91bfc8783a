package keyfile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"onoma/dns"
)

// Public is what a .key file holds.
type Public struct {
	Name dns.Name
	Key  dns.DNSKEY
	Meta
}

// ParsePublic reads the text of a .key file: one DNSKEY record, and comments with
// times before it; errors name it file.
func ParsePublic(file string, text []byte) (*Public, error) {
	if len(text) > maxFile {
		return nil, mistake(file, 0, "is larger than %d octets, which no key is", maxFile)
	}
	p := &Public{}
	if err := p.readComments(file, string(text)); err != nil {
		return nil, err
	}
	line, words := recordWords(string(text))
	if len(words) < 4 {
		return nil, mistake(file, max(line, 1), "a DNSKEY record was expected: OWNER IN DNSKEY FLAGS 3 ALGORITHM KEY")
	}
	if err := p.readRecord(file, line, words); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Public) readComments(file, text string) error {
	fs, err := fields(file, text, true)
	if err != nil {
		return err
	}
	for _, f := range fs {
		for _, known := range timeFields {
			if f.name != known.private || f.name == "" {
				continue
			}
			t, err := f.time(file)
			if err != nil {
				return err
			}
			*known.at(&p.Times) = t
		}
	}
	return nil
}

// recordWords returns the words outside of comments, and the line of the first.
// Parentheses only join lines (RFC 1035 §5.1).
func recordWords(text string) (first int, words []string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, ";")
		found := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n()", r) })
		if first == 0 && len(found) > 0 {
			first = n
		}
		words = append(words, found...)
	}
	return first, words
}

func (p *Public) readRecord(file string, line int, words []string) (err error) {
	if p.Name, err = dns.ParseName(words[0]); err != nil {
		return mistake(file, line, "%q: the zone's name was expected: %v", clip(words[0]), err)
	}
	words = words[1:]
	for len(words) > 0 { // TTL and class in either order
		if ttl, err := strconv.ParseUint(words[0], 10, 31); err == nil && !p.HasTTL {
			p.TTL, p.HasTTL = uint32(ttl), true
		} else if !strings.EqualFold(words[0], "IN") {
			break
		}
		words = words[1:]
	}
	if len(words) < 4 || !strings.EqualFold(words[0], "DNSKEY") {
		return mistake(file, line, "DNSKEY, flags, 3, algorithm and key were expected behind the zone's name")
	}
	rdata, err := dns.ParseRDataString(dns.TypeDNSKEY, strings.Join(words[1:], " "), dns.Root)
	if err != nil {
		return mistake(file, line, "DNSKEY: %v", err)
	}
	if p.Key, err = dns.ParseDNSKEY(rdata); err != nil {
		return mistake(file, line, "DNSKEY: %v", err)
	}
	return nil
}

// AppendPublic appends the text of a .key file.
func AppendPublic(dst []byte, p *Public) []byte {
	b := bytes.NewBuffer(dst)
	kind := "zone-signing"
	switch {
	case p.Key.IsRevoked():
		kind = "revoked key-signing"
	case p.Key.IsSEP():
		kind = "key-signing"
	}
	fmt.Fprintf(b, "; This is a %s key, keyid %d, for %s\n", kind, p.Key.KeyTag(), p.Name)
	times := p.settle()
	for _, f := range timeFields {
		if t := *f.at(&times); f.private != "" && !t.IsZero() {
			fmt.Fprintf(b, "; %s: %s\n", f.private, senseText(t))
		}
	}
	ttl := ""
	if p.HasTTL {
		ttl = strconv.FormatUint(uint64(p.TTL), 10) + " "
	}
	fmt.Fprintf(b, "%s %sIN DNSKEY %s\n", p.Name, ttl, p.Key.RData().Text(dns.TypeDNSKEY))
	return b.Bytes()
}
