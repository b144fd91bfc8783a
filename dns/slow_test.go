package dns

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
)

// The slow and obvious implementations that the fast ones are held against.

// slowName is a name as its labels, the leftmost first.
type slowName []string

func slowFromWire(w string) slowName {
	var n slowName
	for w[0] != 0 {
		n = append(n, w[1:1+w[0]])
		w = w[1+w[0]:]
	}
	return n
}

func (n slowName) wire() string {
	var b strings.Builder
	for _, l := range n {
		b.WriteByte(byte(len(l)))
		b.WriteString(l)
	}
	return b.String() + "\x00"
}

func slowLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

// compare is RFC 4034 §6.1 to the letter: sort by the rightmost label first.
func (n slowName) compare(m slowName) int {
	a, b := slices.Clone(n), slices.Clone(m)
	slices.Reverse(a)
	slices.Reverse(b)
	return slices.CompareFunc(a, b, func(x, y string) int {
		return strings.Compare(slowLower(x), slowLower(y))
	})
}

func (n slowName) isSubdomainOf(p slowName) bool {
	return len(n) >= len(p) && n[len(n)-len(p):].compare(p) == 0
}

// slowParse reads presentation form in three passes: escapes, then labels, then
// lengths. An escaped octet is a rune above 0xFF, so that it is no dot.
func slowParse(s string, origin slowName) (slowName, error) {
	if s == "" {
		return nil, errors.New("empty")
	}
	if s == "@" {
		return origin, nil
	}
	if s == "." {
		return nil, nil
	}
	var octets []int
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			octets = append(octets, int(s[i]))
			continue
		}
		if i+1 >= len(s) {
			return nil, errors.New("escape")
		}
		if s[i+1] < '0' || s[i+1] > '9' {
			octets = append(octets, 0x100|int(s[i+1]))
			i++
			continue
		}
		v := 0
		for _, j := range []int{i + 1, i + 2, i + 3} {
			if j >= len(s) || s[j] < '0' || s[j] > '9' {
				return nil, errors.New("escape")
			}
			v = v*10 + int(s[j]-'0')
		}
		if v > 255 {
			return nil, errors.New("escape")
		}
		octets = append(octets, 0x100|v)
		i += 3
	}
	n := slowName{""}
	for _, o := range octets {
		if o == '.' {
			n = append(n, "")
		} else {
			n[len(n)-1] += string([]byte{byte(o)})
		}
	}
	if n[len(n)-1] == "" {
		n = n[:len(n)-1]
	} else {
		n = append(n, origin...)
	}
	for _, l := range n {
		if l == "" || len(l) > 63 {
			return nil, errors.New("label")
		}
	}
	if len(n.wire()) > 255 {
		return nil, errors.New("too long")
	}
	return n, nil
}

// randomName makes names that are often related: few labels, few letters, both
// cases, and now and then an octet that looks like something else.
func randomName(r *rand.Rand) Name {
	const octets = "aAbBzZ[`{@*.\\\x00\x01\xff09-_"
	var n slowName
	for range r.IntN(5) {
		l := make([]byte, 1+r.IntN(3))
		for i := range l {
			l[i] = octets[r.IntN(len(octets))]
		}
		n = append(n, string(l))
	}
	if r.IntN(20) == 0 {
		n = append(slowName{strings.Repeat("x", 1+r.IntN(63))}, n...)
	}
	return Name{n.wire()}
}

// randomCase returns n with the case of its letters changed at random.
func randomCase(r *rand.Rand, n Name) Name {
	b := []byte(n.wire)
	for i := 0; b[i] != 0; i += int(b[i]) + 1 {
		for j := i + 1; j <= i+int(b[i]); j++ {
			if l := b[j] | 0x20; 'a' <= l && l <= 'z' && r.IntN(2) == 0 {
				b[j] ^= 0x20
			}
		}
	}
	return Name{string(b)}
}
