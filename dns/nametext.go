package dns

import (
	"strings"

	"golang.org/x/net/idna"
)

// AppendNameFromText reads a name in presentation form (RFC 1035 §5.1) and
// appends its wire form to dst: labels between dots, \X for the character X,
// \DDD for the octet DDD. Names without a final dot are relative to origin; "@"
// alone is origin. A zero origin makes both an error.
func AppendNameFromText[T octets](dst []byte, s T, origin Name) ([]byte, error) {
	start := len(dst)
	switch {
	case len(s) == 0:
		return dst, ErrEmptyName
	case len(s) == 1 && s[0] == '@':
		return appendOrigin(dst, start, origin)
	case len(s) == 1 && s[0] == '.':
		return append(dst, 0), nil
	}
	label := len(dst) // where the length octet of the current label stands
	dst = append(dst, 0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '.':
			n := len(dst) - label - 1
			if n == 0 {
				return dst[:start], ErrEmptyLabel
			}
			if len(dst)-start >= MaxNameLen {
				return dst[:start], ErrNameTooLong
			}
			dst[label] = byte(n)
			label = len(dst)
			dst = append(dst, 0)
			continue
		case '\\':
			octet, used := unescape(s[i:])
			if used == 0 {
				return dst[:start], ErrBadEscape
			}
			c, i = octet, i+used-1
		}
		if len(dst)-label > MaxLabelLen {
			return dst[:start], ErrLabelTooLong
		}
		if len(dst)-start >= MaxNameLen {
			return dst[:start], ErrNameTooLong
		}
		dst = append(dst, c)
	}
	if n := len(dst) - label - 1; n > 0 { // no final dot: relative
		dst[label] = byte(n)
		return appendOrigin(dst, start, origin)
	}
	return dst, nil // the length octet appended last is the root's
}

func appendOrigin(dst []byte, start int, origin Name) ([]byte, error) {
	if origin.IsZero() {
		return dst[:start], ErrRelativeName
	}
	if len(dst)-start+origin.Len() > MaxNameLen {
		return dst[:start], ErrNameTooLong
	}
	return append(dst, origin.wire...), nil
}

// unescape reads the escape at the start of s, which begins with a backslash,
// and returns the octet and how many characters it took; 0 when it is malformed.
func unescape[T octets](s T) (octet byte, used int) {
	if len(s) < 2 {
		return 0, 0
	}
	if !isDigit(s[1]) {
		return s[1], 2
	}
	if len(s) < 4 || !isDigit(s[2]) || !isDigit(s[3]) {
		return 0, 0
	}
	v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0')
	if v > 255 {
		return 0, 0
	}
	return byte(v), 4
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// AppendNameText appends the presentation form of the wire-form name to dst,
// with the final dot.
func AppendNameText(dst, name []byte) []byte { return appendNameText(dst, name) }

func appendNameText[T octets](dst []byte, name T) []byte {
	if len(name) <= 1 {
		return append(dst, '.')
	}
	for i := 0; i < len(name) && name[i] != 0; {
		n := int(name[i])
		for _, c := range []byte(name[i+1 : i+1+n]) {
			dst = appendNameOctet(dst, c)
		}
		dst = append(dst, '.')
		i += n + 1
	}
	return dst
}

// appendNameOctet writes one octet of a label so that it reads back as itself
// wherever a name may stand in a master file.
func appendNameOctet(dst []byte, c byte) []byte {
	switch {
	case c <= ' ' || c >= 0x7F:
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	case c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$':
		return append(dst, '\\', c)
	}
	return append(dst, c)
}

// LabelText returns the presentation form of one label.
func LabelText(label string) string {
	dst := make([]byte, 0, len(label)+4)
	for i := 0; i < len(label); i++ {
		dst = appendNameOctet(dst, label[i])
	}
	return string(dst)
}

// registration maps names as people type them (IDNA 2008 with the mapping of
// UTS #46, as browsers do), without the rules for hosts: "_dmarc" stays.
var registration = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false))

// ParseNameIDNA reads a name that a person typed: like ParseName, but labels
// outside ASCII become A-labels (RFC 5890 §2.3.2.1).
func ParseNameIDNA(s string) (Name, error) {
	ascii := true
	for i := 0; i < len(s); i++ {
		ascii = ascii && s[i] < 0x80
	}
	if !ascii {
		a, err := registration.ToASCII(s)
		if err != nil {
			return Name{}, err
		}
		s = a
	}
	return ParseName(s)
}

// Unicode returns the presentation form for a person's eyes, with A-labels as
// the Unicode that they stand for. It is for display only.
func (n Name) Unicode() string {
	s := n.String()
	if !strings.Contains(strings.ToLower(s), "xn--") {
		return s
	}
	u, err := registration.ToUnicode(s)
	if err != nil {
		return s
	}
	return u
}
