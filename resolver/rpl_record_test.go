package resolver

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// record adds a line of a section to the message at hand.
func (r *rplReader) record(section string, words []string, text string) error {
	m := r.text
	if section == "QUESTION" {
		q, err := questionIn(words)
		m.Questions = append(m.Questions, q)
		return err
	}
	rec, err := recordIn(strings.TrimSpace(text), words)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	switch section {
	case "ANSWER":
		m.Answer = append(m.Answer, rec)
	case "AUTHORITY":
		m.Authority = append(m.Authority, rec)
	case "ADDITIONAL":
		m.Additional = append(m.Additional, rec)
	}
	return nil
}

func questionIn(words []string) (q dns.Question, err error) {
	if q.Name, err = dns.ParseName(words[0]); err != nil {
		return q, err
	}
	var ok bool
	if q.Type, ok = dns.ParseType(words[len(words)-1]); !ok {
		return q, fmt.Errorf("question %q", words)
	}
	if q.Class, ok = dns.ParseClass(words[max(0, len(words)-2)]); !ok {
		q.Class = dns.ClassIN // some leave it out
	}
	return q, nil
}

// recordIn reads a record as the scripts have it: also data that is not what its
// type should have, and signatures that are cut off, which servers then say.
func recordIn(text string, words []string) (dns.Record, error) {
	opts := zonefile.Options{Origin: dns.Root, DefaultTTL: 3600}
	if slices.Contains(words, "CH") {
		opts.Class = dns.ClassCH
	}
	rec, err := zonefile.NewReader(strings.NewReader(text+"\n"), opts).Next()
	if err == nil {
		return rec, nil
	}
	if slices.Contains(words, `\#`) {
		return rawRecord(words)
	}
	if i := slices.Index(words, "RRSIG"); i >= 0 && len(words) >= i+9 {
		return cutSignature(words, i+9)
	}
	return rec, err
}

// rawRecord reads data in the form of RFC 3597, whatever is in it.
func rawRecord(words []string) (rec dns.Record, err error) {
	if rec.Name, err = dns.ParseName(words[0]); err != nil {
		return rec, err
	}
	rec.Class, rec.TTL = dns.ClassIN, 3600
	i := slices.Index(words, `\#`)
	for _, w := range words[1:i] {
		if ttl, err := strconv.ParseUint(w, 10, 32); err == nil {
			rec.TTL = uint32(ttl)
		} else if t, ok := dns.ParseType(w); ok {
			rec.Type = t
		}
	}
	data, err := hex.DecodeString(strings.Join(words[i+2:], ""))
	rec.Data = dns.RData(data)
	return rec, err
}

// cutSignature reads an RRSIG whose signature, from that word on, is missing or
// not whole.
func cutSignature(words []string, signature int) (dns.Record, error) {
	whole := strings.Trim(strings.Join(words[signature:], ""), `'"`)
	isWhole := len(whole) > 0 && len(whole)%4 == 0
	if !isWhole {
		whole = "AAAA"
	}
	text := strings.Join(append(slices.Clone(words[:signature]), whole), " ")
	rec, err := zonefile.NewReader(strings.NewReader(text+"\n"), zonefile.Options{Origin: dns.Root, DefaultTTL: 3600}).Next()
	if err == nil && !isWhole {
		rec.Data = rec.Data[:len(rec.Data)-3]
	}
	return rec, err
}
