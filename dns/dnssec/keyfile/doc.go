// Package keyfile reads and writes private DNSSEC keys in the forms of other
// servers: BIND's K<zone>+<algorithm>+<tag>.key, .private and .state, which
// PowerDNS exports as well, and PEM (PKCS #8, PKCS #1, SEC 1), which Knot keeps
// and PowerDNS also exports.
//
// Forms are functions from text to values and back; only Read, ReadPEM, Write and
// their kin open files. Nothing is kept, so that everything may be called by many
// goroutines. The work is bounded whatever a file holds. An error about text is
// an *Error, which names file and line and what was expected there.
//
// The private form is BIND's own (versions 1.2 and 1.3); the public one is a
// master file with one DNSKEY record (RFC 4034 §2.2). PEM is RFC 7468 with the
// contents of RFC 5958, RFC 8410, RFC 8017 appendix A.1.2 or RFC 5915.
package keyfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"onoma/dns/dnssec"
)

// ErrToken says that a file names a key which is in a token, where it stays.
var ErrToken = errors.New("the key is in a token")

// maxFile is more than any file of a key has: RSA keys of 4096 bits take 4 KiB.
const maxFile = 12 << 10

// maxRSA is the greatest modulus, in bits (RFC 3110 §2).
const maxRSA = 4096

// Error is a mistake in a file's text.
type Error struct {
	File string
	Line int // 0: the file as a whole
	Text string
	err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

func (e *Error) Unwrap() error { return e.err }

func mistake(file string, line int, format string, args ...any) *Error {
	return &Error{File: file, Line: line, Text: fmt.Sprintf(format, args...)}
}

// readFile reads a file that must not be large, and its permissions.
func readFile(path string) (text []byte, mode os.FileMode, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, 0, err
	}
	if len(text) > maxFile {
		return nil, 0, mistake(path, 0, "is larger than %d octets, which no key is", maxFile)
	}
	return text, info.Mode(), nil
}

// exposed returns a warning where others than its owner may read a private file.
func exposed(path string, mode os.FileMode) []string {
	if mode.Perm()&0o077 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: others may read this private key (mode %04o): chmod 600 %s", path, mode.Perm(), path)}
}

// algorithmText is how .private files name an algorithm.
func algorithmText(a uint8) string { return fmt.Sprintf("%d (%s)", a, dnssec.AlgorithmName(a)) }
