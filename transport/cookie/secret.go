package cookie

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// Secret is what the servers of one address share: 128 bits (RFC 9018 §4.4).
type Secret [16]byte

// Secrets are one or two of them. New cookies are made with the first; those
// of either are taken.
type Secrets struct {
	keys [2]sipKey
	n    int
}

// NewSecrets returns the active secret, and where there are more the one that
// is taken besides: the next, while it is being distributed, or the last one,
// for an hour after (RFC 9018 §5). A third and later ones are ignored.
func NewSecrets(active Secret, other ...Secret) Secrets {
	s := Secrets{n: 1}
	s.keys[0] = newSipKey(active)
	if len(other) > 0 {
		s.keys[1], s.n = newSipKey(other[0]), 2
	}
	return s
}

// RandomSecrets returns one secret that nobody else has.
func RandomSecrets() Secrets {
	var s Secret
	rand.Read(s[:])
	return NewSecrets(s)
}

// ParseSecrets reads secrets as the other name servers write them: each 32 hex
// digits on a line of its own, 0x before them or not; # begins a comment.
func ParseSecrets(text []byte) (Secrets, error) {
	var all []Secret
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var s Secret
		digits := strings.TrimPrefix(line, "0x")
		if len(digits) != 2*len(s) {
			return Secrets{}, fmt.Errorf("%d: %d digits, expected a secret of 32 hex digits", n, len(digits))
		}
		if _, err := hex.Decode(s[:], []byte(digits)); err != nil {
			// Not err itself, which shows a digit of the secret.
			return Secrets{}, fmt.Errorf("%d: not hex, expected a secret of 32 hex digits", n)
		}
		all = append(all, s)
	}
	if err := lines.Err(); err != nil {
		return Secrets{}, err
	}
	if len(all) < 1 || len(all) > 2 {
		return Secrets{}, fmt.Errorf("%d secrets, expected the active one and at most one other", len(all))
	}
	return NewSecrets(all[0], all[1:]...), nil
}

// ReadSecrets reads them from a file.
func ReadSecrets(file string) (Secrets, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Secrets{}, fmt.Errorf("reading cookie secrets: %w", err)
	}
	s, err := ParseSecrets(text)
	if err != nil {
		return Secrets{}, fmt.Errorf("%s:%w", file, err)
	}
	return s, nil
}
