// Package zonegen makes zones of any size for tests and benchmarks: the zone of
// a top-level domain as registries publish it, and questions to ask of it.
//
// What it writes depends on its parameters alone, so that every server that is
// compared gets the same. A TLD is a value and may be used by any goroutine.
package zonegen

import (
	"encoding/hex"
	"io"
	"math/rand/v2"
	"strconv"

	"onoma/dns"
)

// TLD is the zone of a top-level domain. Every HosterEvery-th delegation is a
// hoster with two name servers below its own name, which need glue; every
// delegation is served by the two of a hoster, large ones by far more often than
// small ones. The names are in canonical order.
type TLD struct {
	Origin      dns.Name
	Delegations int
	Seed        uint64

	HosterEvery int // 0: 10
	DSPercent   int // share of delegations with a DS record; 0: 30, negative: none
}

const (
	consonants = "bdfgklmnprstvz"
	vowels     = "aeiou"
	perDigit   = len(consonants) * len(vowels)
	chunk      = 1 << 16
)

// endings make names differ in length. Each stands behind a part that is
// different for each delegation.
var endings = []string{"", "", "", "s", "net", "24", "-shop", "online", "group", "-it", "tech", "2go"}

func (t TLD) hosterEvery() int {
	if t.HosterEvery == 0 {
		return 10
	}
	return t.HosterEvery
}

func (t TLD) dsPercent() int {
	if t.DSPercent == 0 {
		return 30
	}
	return t.DSPercent
}

// rand returns the random numbers of delegation i, for one purpose.
func (t TLD) rand(i int, purpose uint64) *rand.PCG {
	return rand.NewPCG(t.Seed^purpose<<56, uint64(i))
}

// AppendName appends the label of delegation i: syllables that ascend with i and
// are spread over all that there are, and an ending.
func (t TLD) AppendName(dst []byte, i int) []byte {
	r := t.rand(i, 1)
	digits, space := 3, perDigit*perDigit*perDigit
	for space/4 < t.Delegations {
		digits++
		space *= perDigit
	}
	stride := space / max(1, t.Delegations)
	n := i*stride + int(r.Uint64()%uint64(stride))
	for range digits {
		space /= perDigit
		d := n / space % perDigit
		dst = append(dst, consonants[d/len(vowels)], vowels[d%len(vowels)])
	}
	return append(dst, endings[r.Uint64()%uint64(len(endings))]...)
}

// hoster returns the delegation whose name servers serve delegation i.
func (t TLD) hoster(i int) int {
	every := t.hosterEvery()
	if i%every == 0 {
		return i
	}
	hosters := (t.Delegations + every - 1) / every
	u := float64(t.rand(i, 2).Uint64()>>11) / (1 << 53)
	rank := int(float64(hosters) * u * u * u)
	// Ranks are spread over the names, else the largest were neighbours.
	return rank * 7919 % hosters * every
}

// WriteZone writes the master file.
func (t TLD) WriteZone(w io.Writer) error {
	b := append([]byte("$ORIGIN "), t.Origin.String()...)
	b = append(b, "\n$TTL 86400\n@ SOA a.nic hostmaster.nic 2026010100 1800 900 604800 900\n"...)
	b = append(b, "@ NS a.nic\n@ NS b.nic\n"...)
	nic := false
	for i := range t.Delegations {
		start := len(b)
		b = t.appendDelegation(b, i)
		if !nic && string(b[start:]) > "nic" {
			// The registry's own name servers, where they belong in the order.
			delegation := string(b[start:])
			b = append(append(b[:start], nicServers...), delegation...)
			nic = true
		}
		if len(b) > chunk {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if !nic {
		b = append(b, nicServers...)
	}
	_, err := w.Write(b)
	return err
}

const nicServers = "a.nic A 192.0.2.1\na.nic AAAA 2001:db8::1\nb.nic A 192.0.2.2\nb.nic AAAA 2001:db8::2\n"

func (t TLD) appendDelegation(b []byte, i int) []byte {
	var buf [64]byte
	name := t.AppendName(buf[:0], i)
	h := t.hoster(i)
	for _, ns := range []string{" NS ns1.", " NS ns2."} {
		b = append(append(b, name...), ns...)
		b = append(t.AppendName(b, h), '\n')
	}
	r := t.rand(i, 3)
	if int(r.Uint64()%100) < t.dsPercent() {
		b = append(append(b, name...), " DS "...)
		b = strconv.AppendUint(b, r.Uint64()&0xFFFF, 10)
		b = append(b, " 13 2 "...)
		for range 4 {
			v := r.Uint64()
			b = hex.AppendEncode(b, []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24),
				byte(v >> 32), byte(v >> 40), byte(v >> 48), byte(v >> 56)})
		}
		b = append(b, '\n')
	}
	if h == i {
		b = t.appendGlue(b, name, r)
	}
	return b
}

func (t TLD) appendGlue(b, name []byte, r *rand.PCG) []byte {
	for _, ns := range []string{"ns1.", "ns2."} {
		v := r.Uint64()
		b = append(append(append(b, ns...), name...), " A 10."...)
		b = strconv.AppendUint(b, v&0xFF, 10)
		b = append(b, '.')
		b = strconv.AppendUint(b, v>>8&0xFF, 10)
		b = append(b, '.')
		b = strconv.AppendUint(b, v>>16&0xFF, 10)
		b = append(b, '\n')
	}
	return b
}

// WriteQueries writes n questions, one a line, name and type: nine for names at
// and below random delegations, then one for a name that does not exist.
func (t TLD) WriteQueries(w io.Writer, n int) error {
	r := rand.New(rand.NewPCG(t.Seed, 4))
	var b []byte
	for q := range n {
		if r.IntN(2) == 0 {
			b = append(b, "www."...)
		}
		b = t.AppendName(b, r.IntN(max(1, t.Delegations)))
		if q%10 == 9 {
			b = append(b, "-nx"...) // none of the endings
		}
		if !t.Origin.IsRoot() {
			b = append(b, '.')
		}
		b = append(b, t.Origin.String()...)
		b = append(b, []string{" A\n", " AAAA\n", " A\n", " MX\n"}[r.IntN(4)]...)
		if len(b) > chunk {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}
