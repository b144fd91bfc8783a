package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// FileName returns how BIND names the files of a key, without what follows the
// last dot: Kexample.com.+013+12345.
func FileName(zone dns.Name, algorithm uint8, tag uint16) string {
	return fmt.Sprintf("K%s+%03d+%05d", ZoneFileName(zone), algorithm, tag)
}

// ZoneFileName returns a zone's name in the form that is part of file names: lower
// case, with a final dot, and octets that are no letter, digit, '-' or '_' as %XX.
func ZoneFileName(zone dns.Name) string {
	if zone.IsRoot() {
		return "."
	}
	var b strings.Builder
	for label := range zone.Fold().Labels() {
		for _, c := range []byte(label) {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		b.WriteByte('.')
	}
	return b.String()
}

// base cuts one of a key's three extensions off its file's name.
func base(path string) string {
	for _, ext := range []string{".key", ".private", ".state"} {
		if b, found := strings.CutSuffix(path, ext); found {
			return b
		}
	}
	return path
}

// Read reads a key from BIND's files; path names one of them, or what all begin
// with. Without a .key file, the file's name must say the zone, the algorithm and
// the tag, as BIND's do.
func Read(path string) (name dns.Name, k *dnssec.Key, meta Meta, err error) {
	stem := base(path)
	text, mode, err := readFile(stem + ".private")
	if err != nil {
		return name, nil, meta, fmt.Errorf("reading a key: %w", withHint(err, stem))
	}
	private, err := ParsePrivate(stem+".private", text)
	if err != nil {
		return name, nil, meta, err
	}
	public, err := readPublic(stem, private)
	if err != nil {
		return name, nil, meta, err
	}
	meta = public.Meta
	meta.merge(private.Times)
	meta.Predecessor, meta.Successor = private.Predecessor, private.Successor
	meta.Warnings = exposed(stem+".private", mode)
	if err := readState(stem+".state", &meta); err != nil {
		return name, nil, meta, err
	}
	if public.Key.Algorithm != private.Algorithm {
		return name, nil, meta, mistake(stem+".private", 2, "algorithm %s; %s was expected, as %s.key has it", algorithmText(private.Algorithm), algorithmText(public.Key.Algorithm), stem)
	}
	k, err = dnssec.NewKey(public.Key, private.Signer)
	if err != nil {
		return name, nil, meta, mistake(stem+".private", 0, "does not belong to %s.key: %v", stem, err)
	}
	return public.Name, k, meta, nil
}

// withHint tells where a private half may be when it is not beside the other.
func withHint(err error, stem string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, missing := os.Stat(stem + ".key"); missing != nil {
		return err
	}
	return fmt.Errorf("%w; the public half alone (%s.key) cannot sign", err, stem)
}

func readPublic(stem string, private *Private) (*Public, error) {
	text, _, err := readFile(stem + ".key")
	switch {
	case err == nil:
		return ParsePublic(stem+".key", text)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	name, tag, err := parseFileName(filepath.Base(stem))
	if err != nil {
		return nil, fmt.Errorf("reading a key: %s.key is missing, and the file's name does not say what would stand there: %w", stem, err)
	}
	for _, flags := range []uint16{257, 256, 385, 384} {
		if k, err := private.Key(flags); err != nil {
			return nil, mistake(stem+".private", 0, "%v", err)
		} else if k.Tag() == tag {
			return &Public{Name: name, Key: k.DNSKEY()}, nil
		}
	}
	return nil, mistake(stem+".private", 0, "is not the key with tag %d that the file's name promises, and %s.key is missing", tag, stem)
}

// parseFileName is the reverse of FileName.
func parseFileName(s string) (name dns.Name, tag uint16, err error) {
	expected := fmt.Errorf("%q: Kexample.com.+013+12345 was expected", clip(s))
	rest, isKey := strings.CutPrefix(s, "K")
	parts := strings.Split(rest, "+")
	if !isKey || len(parts) != 3 {
		return name, 0, expected
	}
	n, err := strconv.ParseUint(parts[2], 10, 16)
	if err != nil {
		return name, 0, expected
	}
	text, err := unescape(parts[0])
	if err != nil {
		return name, 0, expected
	}
	name, err = dns.ParseName(text)
	return name, uint16(n), err
}

// unescape turns %XX into \DDD.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", strconv.ErrSyntax
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\\%03d", c)
		i += 2
	}
	return b.String(), nil
}

func readState(path string, m *Meta) error {
	text, _, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("reading a key's state: %w", err)
	}
	return ParseState(path, text, m)
}

// Write writes BIND's files of a key into a folder, and returns what their names
// begin with. Files that are there are not replaced. The private half is written
// first and is synced before there is a public one.
func Write(dir string, name dns.Name, k *dnssec.Key, meta Meta) (string, error) {
	stem := filepath.Join(dir, FileName(name, k.Algorithm(), k.Tag()))
	private, err := AppendPrivate(nil, &Private{k.Algorithm(), k.Private(), meta.Times, meta.Predecessor, meta.Successor})
	if err != nil {
		return "", fmt.Errorf("writing a key: %w", err)
	}
	public := &Public{Name: name, Key: k.DNSKEY(), Meta: meta}
	if err := Create(stem+".private", private, 0o600); err != nil {
		return "", err
	}
	if meta.State != nil {
		if err := Create(stem+".state", AppendState(nil, public, &meta), 0o644); err != nil {
			return "", err
		}
	}
	return stem, Create(stem+".key", AppendPublic(nil, public), 0o644)
}
