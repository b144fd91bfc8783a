package keyfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// State is what BIND's key manager keeps of a key beside its times, in a .state
// file.
type State struct {
	Lifetime time.Duration
	KSK, ZSK bool
	// How far caches may have the parts of the zone that depend on the key.
	DNSKEY, ZRRSIG, KRRSIG, DS, Goal                   Spread
	DNSKEYChange, ZRRSIGChange, KRRSIGChange, DSChange time.Time
}

// Spread is how far a change may be seen.
type Spread uint8

// The spreads: not said, nowhere, perhaps somewhere, everywhere, perhaps still
// somewhere.
const (
	SpreadUnknown Spread = iota
	Hidden
	Rumoured
	Omnipresent
	Unretentive
)

var spreadWords = []string{"", "hidden", "rumoured", "omnipresent", "unretentive"}

func (s Spread) String() string {
	if int(s) < len(spreadWords) {
		return spreadWords[s]
	}
	return ""
}

// stateParts are the lines that State has beside Times.
func (s *State) spreads() map[string]*Spread {
	return map[string]*Spread{"DNSKEYState": &s.DNSKEY, "ZRRSIGState": &s.ZRRSIG, "KRRSIGState": &s.KRRSIG, "DSState": &s.DS, "GoalState": &s.Goal}
}

func (s *State) changes() map[string]*time.Time {
	return map[string]*time.Time{"DNSKEYChange": &s.DNSKEYChange, "ZRRSIGChange": &s.ZRRSIGChange, "KRRSIGChange": &s.KRRSIGChange, "DSChange": &s.DSChange}
}

// The order of lines.
var (
	changeOrder = []string{"DNSKEYChange", "ZRRSIGChange", "KRRSIGChange", "DSChange"}
	spreadOrder = []string{"DNSKEYState", "ZRRSIGState", "KRRSIGState", "DSState", "GoalState"}
)

// ParseState reads the text of a .state file into m, whose times it overrules;
// errors name it file.
func ParseState(file string, text []byte, m *Meta) error {
	if len(text) > maxFile {
		return mistake(file, 0, "is larger than %d octets, which no key's state is", maxFile)
	}
	fs, err := fields(file, string(text), false)
	if err != nil {
		return err
	}
	s := &State{}
	for _, f := range fs {
		if err := m.readState(file, f, s); err != nil {
			return err
		}
	}
	m.State = s
	return nil
}

func (m *Meta) readState(file string, f field, s *State) (err error) {
	switch f.name {
	case "Lifetime":
		var seconds int
		seconds, err = f.number(file, 1<<32)
		s.Lifetime = time.Duration(seconds) * time.Second
	case "KSK":
		s.KSK, err = f.yes(file)
	case "ZSK":
		s.ZSK, err = f.yes(file)
	case "Predecessor":
		m.Predecessor, err = f.tag(file)
	case "Successor":
		m.Successor, err = f.tag(file)
	default:
		err = m.readStateTime(file, f, s)
	}
	return err
}

func (m *Meta) readStateTime(file string, f field, s *State) (err error) {
	if to, found := s.spreads()[f.name]; found {
		*to, err = f.spread(file)
		return err
	}
	if to, found := s.changes()[f.name]; found {
		*to, err = f.time(file)
		return err
	}
	for _, known := range timeFields {
		if known.state == f.name {
			*known.at(&m.Times), err = f.time(file)
			return err
		}
	}
	return nil
}

func (f field) number(file string, most int) (int, error) {
	n, err := strconv.Atoi(f.value)
	if err != nil || n < 0 || n > most {
		return 0, mistake(file, f.line, "%s %q: a number from 0 to %d was expected", f.name, clip(f.value), most)
	}
	return n, nil
}

func (f field) yes(file string) (bool, error) {
	switch strings.ToLower(f.value) {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, mistake(file, f.line, "%s %q: yes or no was expected", f.name, clip(f.value))
}

func (f field) spread(file string) (Spread, error) {
	for i, word := range spreadWords {
		if i > 0 && strings.EqualFold(f.value, word) || f.value == "na" {
			return Spread(i), nil
		}
	}
	return 0, mistake(file, f.line, "%s %q: hidden, rumoured, omnipresent or unretentive was expected", f.name, clip(f.value))
}

// AppendState appends the text of a .state file for a key; m.State must not be
// nil.
func AppendState(dst []byte, p *Public, m *Meta) []byte {
	b, s := bytes.NewBuffer(dst), m.State
	yes := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(b, "; This is the state of key %d, for %s\n", p.Key.KeyTag(), p.Name)
	fmt.Fprintf(b, "Algorithm: %d\nLength: %d\nLifetime: %d\n", p.Key.Algorithm, bits(p.Key), int64(s.Lifetime/time.Second))
	if m.Predecessor != 0 {
		fmt.Fprintf(b, "Predecessor: %d\n", m.Predecessor)
	}
	if m.Successor != 0 {
		fmt.Fprintf(b, "Successor: %d\n", m.Successor)
	}
	fmt.Fprintf(b, "KSK: %s\nZSK: %s\n", yes[s.KSK], yes[s.ZSK])
	times := m.settle()
	for _, f := range timeFields {
		if t := *f.at(&times); !t.IsZero() {
			fmt.Fprintf(b, "%s: %s\n", f.state, senseText(t))
		}
	}
	for _, name := range changeOrder {
		if t := *s.changes()[name]; !t.IsZero() {
			fmt.Fprintf(b, "%s: %s\n", name, senseText(t))
		}
	}
	for _, name := range spreadOrder {
		if word := s.spreads()[name].String(); word != "" {
			fmt.Fprintf(b, "%s: %s\n", name, word)
		}
	}
	return b.Bytes()
}

// bits is the size of a key, as BIND counts it.
func bits(k dns.DNSKEY) int {
	switch k.Algorithm {
	case dnssec.ECDSAP256SHA256, dnssec.ED25519:
		return 256
	case dnssec.ECDSAP384SHA384:
		return 384
	case dnssec.ED448:
		return 456
	}
	exponent := 1 // RFC 3110 §2: how long it is, then it, then the modulus
	if len(k.PublicKey) > 3 && k.PublicKey[0] == 0 {
		exponent = 3 + int(binary.BigEndian.Uint16(k.PublicKey[1:]))
	} else if len(k.PublicKey) > 0 {
		exponent += int(k.PublicKey[0])
	}
	return 8 * max(0, len(k.PublicKey)-exponent)
}
