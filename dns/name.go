package dns

import (
	"errors"
	"iter"
	"strings"
)

const (
	// MaxNameLen is the most octets that a name has in wire form, with the
	// length octets and the root label (RFC 1035 §2.3.4).
	MaxNameLen = 255
	// MaxLabelLen is the most octets of one label (RFC 1035 §2.3.4).
	MaxLabelLen = 63
	// MaxLabels is the most labels that a name can have, the root not counted:
	// 127 labels of one octet, and the root's length octet, are 255 octets.
	MaxLabels = 127
)

// Name is a fully qualified domain name in uncompressed wire form: labels of a
// length octet and up to 63 octets each, ended by the root's zero octet.
//
// It is a small immutable value, like netip.Addr: copy it, compare it with ==,
// use it as a map key. The case of letters is kept as it came; == sees it, while
// [Name.Equal] and [Name.Compare] follow RFC 4343 and ignore it. Use
// [Name.Fold] for the key of a map that must ignore case.
//
// The zero Name is no name at all ([Name.IsZero]); the root is [Root].
type Name struct{ wire string }

// Root is the name of the root zone, ".".
var Root = Name{"\x00"}

// Errors of names. They are returned bare or wrapped with the place.
var (
	ErrNameTooLong  = errors.New("name is longer than 255 octets")
	ErrLabelTooLong = errors.New("label is longer than 63 octets")
	ErrEmptyLabel   = errors.New("empty label")
	ErrBadEscape    = errors.New(`bad escape, expected \X or \DDD with DDD at most 255`)
	ErrEmptyName    = errors.New("empty name")
	ErrRelativeName = errors.New("relative name without an origin")
	ErrBadNameWire  = errors.New("malformed name")
)

// NameFromWire returns the name whose uncompressed wire form is exactly b.
func NameFromWire(b []byte) (Name, error) {
	n, err := wireNameLen(b)
	if err != nil {
		return Name{}, err
	}
	if n != len(b) {
		return Name{}, ErrBadNameWire
	}
	return Name{string(b)}, nil
}

// MustName is ParseName for constants and tests: it panics on an error.
func MustName(s string) Name {
	n, err := ParseName(s)
	if err != nil {
		panic("dns: MustName(" + s + "): " + err.Error())
	}
	return n
}

// ParseName reads a name in presentation form (RFC 1035 §5.1). A missing final
// dot is supplied: the name is taken as fully qualified.
func ParseName(s string) (Name, error) { return ParseNameIn(s, Root) }

// ParseNameIn reads a name in presentation form; one without a final dot is
// relative to origin, and "@" is origin itself. A zero origin makes relative
// names an error.
func ParseNameIn(s string, origin Name) (Name, error) {
	var buf [MaxNameLen]byte
	w, err := AppendNameFromText(buf[:0], s, origin)
	if err != nil {
		return Name{}, err
	}
	return Name{string(w)}, nil
}

// IsZero reports whether n is the zero Name, which is no name.
func (n Name) IsZero() bool { return n.wire == "" }

// IsRoot reports whether n is the root.
func (n Name) IsRoot() bool { return n.wire == "\x00" }

// Wire returns the wire form of n as a string of octets.
func (n Name) Wire() string { return n.wire }

// Append appends the wire form of n to dst.
func (n Name) Append(dst []byte) []byte { return append(dst, n.wire...) }

// Len returns the length of n's wire form in octets: 1 for the root.
func (n Name) Len() int { return len(n.wire) }

// NumLabels returns the number of labels, the root label not counted.
func (n Name) NumLabels() int { return countLabels(n.wire) }

// Labels yields the labels from the leftmost one to the top, without the root.
func (n Name) Labels() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; i < len(n.wire) && n.wire[i] != 0; i += int(n.wire[i]) + 1 {
			if !yield(n.wire[i+1 : i+1+int(n.wire[i])]) {
				return
			}
		}
	}
}

// FirstLabel returns the leftmost label, "" for the root.
func (n Name) FirstLabel() string {
	if n.wire == "" {
		return ""
	}
	return n.wire[1 : 1+int(n.wire[0])]
}

// Parent returns n without its leftmost label. The root's parent is the zero Name.
func (n Name) Parent() Name {
	if len(n.wire) <= 1 {
		return Name{}
	}
	return Name{n.wire[1+int(n.wire[0]):]}
}

// Ancestor returns n with its leftmost k labels removed, or the zero Name where
// n has fewer than k.
func (n Name) Ancestor(k int) Name {
	for ; k > 0 && n.wire != ""; k-- {
		n = n.Parent()
	}
	return n
}

// Child returns the name label.n, with the octets of label as they are.
func (n Name) Child(label string) (Name, error) {
	switch {
	case label == "":
		return Name{}, ErrEmptyLabel
	case len(label) > MaxLabelLen:
		return Name{}, ErrLabelTooLong
	case 1+len(label)+len(n.wire) > MaxNameLen:
		return Name{}, ErrNameTooLong
	}
	return Name{string([]byte{byte(len(label))}) + label + n.wire}, nil
}

// IsWildcard reports whether the leftmost label is an asterisk (RFC 4592 §2.1.1).
func (n Name) IsWildcard() bool { return strings.HasPrefix(n.wire, "\x01*") }

// Equal reports whether n and m are the same name, letters' case ignored (RFC 4343).
func (n Name) Equal(m Name) bool {
	return len(n.wire) == len(m.wire) && equalFold(n.wire, m.wire)
}

// IsSubdomainOf reports whether n is p or lies below it.
func (n Name) IsSubdomainOf(p Name) bool { return isSubdomain(n.wire, p.wire) }

// CommonAncestor returns the longest name that both n and m are at or below.
func (n Name) CommonAncestor(m Name) Name {
	a, b := n, m
	for k := a.NumLabels() - b.NumLabels(); k > 0; k-- {
		a = a.Parent()
	}
	for k := b.NumLabels() - a.NumLabels(); k > 0; k-- {
		b = b.Parent()
	}
	for !a.Equal(b) {
		a, b = a.Parent(), b.Parent()
	}
	return a
}

// Rebase returns n with the ending `from` replaced by `to`: the substitution of
// a DNAME (RFC 6672 §2.2). It fails with ErrNameTooLong where the result would
// exceed 255 octets. n must be at or below from.
func (n Name) Rebase(from, to Name) (Name, error) {
	if !n.IsSubdomainOf(from) {
		return Name{}, ErrBadNameWire
	}
	prefix := n.wire[:len(n.wire)-len(from.wire)]
	if len(prefix)+len(to.wire) > MaxNameLen {
		return Name{}, ErrNameTooLong
	}
	return Name{prefix + to.wire}, nil
}

// Fold returns n in lower case, its canonical form (RFC 4034 §6.2).
func (n Name) Fold() Name {
	for i := 0; i < len(n.wire); i++ {
		// Length octets are at most 63 and never upper-case letters.
		if c := n.wire[i]; c >= 'A' && c <= 'Z' {
			b := []byte(n.wire)
			foldBytes(b)
			return Name{string(b)}
		}
	}
	return n
}

// Compare orders names canonically (RFC 4034 §6.1): by labels from the root
// down, each as unsigned octets in lower case, an absent label before any other.
func (n Name) Compare(m Name) int { return compareNames(n.wire, m.wire) }

// String returns the presentation form with its final dot; "" for the zero Name.
func (n Name) String() string {
	if n.wire == "" {
		return ""
	}
	return string(appendNameText(make([]byte, 0, len(n.wire)+4), n.wire))
}

// MarshalText returns the presentation form.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads the presentation form; an empty text is the zero Name.
func (n *Name) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*n = Name{}
		return nil
	}
	m, err := ParseName(string(text))
	if err != nil {
		return err
	}
	*n = m
	return nil
}
